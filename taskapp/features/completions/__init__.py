"""What was finished, and when."""
