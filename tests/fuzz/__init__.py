"""Programs that look for differences for as long as they are let."""
