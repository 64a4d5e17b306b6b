"""The documentation in a browser, from the application's own assets."""
