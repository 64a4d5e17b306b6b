"""Personal access tokens: made by their owner, for scripts."""
