"""Lists: what tasks are sorted into."""
