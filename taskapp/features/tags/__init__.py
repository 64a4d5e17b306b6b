"""Tags: the words that label tasks."""
