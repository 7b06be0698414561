"""What is played: each module has one scenario, and says what it measures."""
