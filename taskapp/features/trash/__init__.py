"""What was thrown away, and how it comes back or goes for good."""
