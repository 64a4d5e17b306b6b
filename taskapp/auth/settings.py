"""The application's settings, for what is decided while a request is answered."""

from datetime import timedelta

from flask import current_app

from taskapp.config import Config


def settings() -> Config:
    """Return the application's."""
    config: Config = current_app.config["TASKAPP"]
    return config


def idle() -> timedelta:
    """Return how long a session lasts without a refresh."""
    return timedelta(days=settings().session_idle_days)
