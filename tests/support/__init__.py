"""What tests share: scripted worlds, the three colours, and the guard around the network."""
