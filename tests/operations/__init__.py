"""docs/operations/ and ops/: that whoever follows them arrives."""
