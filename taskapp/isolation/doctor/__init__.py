"""The proof that isolation holds on a live database: rules about its catalogue, and throw-away users who try to break it."""
