"""The application's settings, for what is decided while a request is answered."""

from flask import current_app

from taskapp.config import Config


def settings() -> Config:
    """Return the application's."""
    config: Config = current_app.config["TASKAPP"]
    return config
