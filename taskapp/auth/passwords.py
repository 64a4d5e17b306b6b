"""Passwords: Argon2id (RFC 9106), a bounded number of hashes at a time, and one hash for every attempt.

An attempt on an address nobody registered costs one verification too, against a hash nobody knows the password of, so
that the time of the answer does not tell which addresses exist.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from threading import BoundedSemaphore
from typing import cast

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from flask import Flask, current_app

from taskapp.api.problems import Problem
from taskapp.config import Config

SHORTEST = 12
LONGEST = 256
_WAIT_SECONDS = 1.0


class Passwords:
    """Hashes and verifies, at most ``at_once`` at a time."""

    def __init__(self, at_once: int) -> None:
        # The floor of the OWASP Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane.
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._places = BoundedSemaphore(at_once)
        self._nobodys = self._hasher.hash(token_hex())

    def hash(self, password: str) -> str:
        """Return the PHC string of a new password.

        :raises Problem: 503 when too many are waiting already.
        """
        with self._place():
            return self._hasher.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Tell whether ``password`` is the one; never so without a hash, and no sooner either.

        :raises Problem: 503 when too many are waiting already.
        """
        with self._place():
            try:
                self._hasher.verify(password_hash or self._nobodys, password)
            except VerifyMismatchError:
                return False
        return password_hash is not None

    @contextmanager
    def _place(self) -> Iterator[None]:
        # Each hash takes a core and 19 MiB; without a bound, log-ins would starve everything else.
        if not self._places.acquire(timeout=_WAIT_SECONDS):
            raise Problem("service_unavailable")
        try:
            yield
        finally:
            self._places.release()


def init_app(app: Flask, config: Config) -> None:
    """Called by the application factory."""
    app.extensions["taskapp_passwords"] = Passwords(config.password_hashers)


def passwords() -> Passwords:
    """Return the current application's."""
    return cast(Passwords, current_app.extensions["taskapp_passwords"])
