"""`make demo`: three people with tasks to play with, in the server that `make run` brings. A client, as anybody's."""


class DemoError(Exception):
    """Why there is nothing to play with: one line that says what to do."""
