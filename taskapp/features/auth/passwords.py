"""Passwords: what is acceptable, and Argon2id (RFC 9106) that leaves the processor to everybody else.

A hash takes a core for 20 ms, so a crowd that logs in would slow down those who are logged in. Three things keep it from
that: few hashes at a time, in threads of a lower priority, and a short queue before them, so that most threads of the server
never wait for a password.

An attempt on an address nobody registered costs one verification too, against a hash nobody knows the password of, so
that the time of the answer does not tell which addresses exist.
"""

import ctypes
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex
from threading import BoundedSemaphore
from typing import Any

import marshmallow as ma
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Flask

from taskapp.config import Config
from taskapp.services import provide, service
from taskapp.web.current_config import settings
from taskapp.web.responses.problems import FieldError, Problem, invalid
from taskapp.web.schema import Coded, Text

LONGEST = 256
# Passes, KiB and lanes: the floor of the OWASP Password Storage Cheat Sheet.
_COST = (2, 19_456, 1)
_NICENESS = 10
_M_MMAP_THRESHOLD = -3


class Password(Text):
    """A password, in NFC: keyboards differ in how they compose the same character. Counted, then, as it is hashed."""

    def __init__(self, shortest: int = 1, **kwargs: Any) -> None:
        published = {"format": "password", "example": "correct horse battery", "description": "Every character counts."}
        kwargs["metadata"] = {**published, **kwargs.get("metadata", {})}
        super().__init__(shortest, LONGEST, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        return unicodedata.normalize("NFC", super()._deserialize(value, attr, data, **kwargs))


class NewPassword(Password):
    """A password to be set. Its shortest length is a setting."""

    def __init__(self, **kwargs: Any) -> None:
        description = (
            "Not among those anybody would try first. The server may ask for more characters than 8: 12 if not set."
        )
        kwargs["metadata"] = {"description": description, **kwargs.get("metadata", {})}
        super().__init__(8, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        shortest = settings().password_min_length
        if len(text) < shortest:
            # At once the number that counts, and not first the one that is published.
            raise ma.ValidationError(Coded("too_short", f"Must have {shortest} or more characters."))
        return text


class Passwords:
    """Judges passwords, and gives out places to hash them.

    At most ``password_hashers`` are hashed at a time, and no more than half of the server's threads wait for them.
    """

    def __init__(self, config: Config) -> None:
        self._shortest = config.password_min_length
        self._hasher = PasswordHasher(*_COST)
        self._hashers = ThreadPoolExecutor(config.password_hashers, "hasher", initializer=_lower_priority)
        self._places = BoundedSemaphore(max(config.password_hashers, config.threads // 2))
        self._nobodys = self._hasher.hash(token_hex())

    def check(self, password: str, member: str, about: Iterable[str]) -> None:
        """Refuse a new password that is too short, or that is among the first anybody would try.

        :param member: where it stands in the body.
        :param about: what an attacker knows of the user.
        :raises Problem: 422.
        """
        if len(password) < self._shortest:
            detail = f"Must have {self._shortest} or more characters."
            raise invalid([FieldError("too_short", detail, pointer=f"#/{member}")])
        from taskapp.features.auth.password_strength import is_easy_to_guess  # noqa: PLC0415 - takes 13 MB, see there

        if is_easy_to_guess(password, about):
            raise invalid([FieldError("too_common", "Is easy to guess. Choose another one.", pointer=f"#/{member}")])

    @contextmanager
    def place(self) -> Iterator["Place"]:
        """Take a place, before anything of the attempt is counted: who finds none has not guessed.

        :raises Problem: 503 when too many are waiting already.
        """
        if not self._places.acquire(blocking=False):
            raise Problem("service_unavailable")
        try:
            yield Place(self._hasher, self._hashers, self._nobodys)
        finally:
            self._places.release()


@dataclass(frozen=True, slots=True)
class Place:
    """Where passwords are hashed, one after another."""

    _hasher: PasswordHasher
    _hashers: ThreadPoolExecutor
    _nobodys: str

    def hash(self, password: str) -> str:
        """Return the PHC string of a new password."""
        return self._hashers.submit(self._hasher.hash, password).result()

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Tell whether ``password`` is the one; never so without a hash, and no sooner either."""
        try:
            self._hashers.submit(self._hasher.verify, password_hash or self._nobodys, password).result()
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None

    def outdated(self, password_hash: str) -> bool:
        """Tell whether a hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)


def _lower_priority() -> None:
    # On Linux niceness belongs to a thread; elsewhere this would slow down the whole process.
    if sys.platform == "linux":
        os.nice(_NICENESS)


def _return_freed_memory() -> None:
    # glibc takes blocks of a size that was freed once from its heap from then on, and the 19 MiB of a hash would stay there
    # for good. Other systems' libraries have no such setting.
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**20)


def init_app(app: Flask, config: Config) -> None:
    """Called by the application factory."""
    _return_freed_memory()
    provide(app, Passwords(config))


def passwords() -> Passwords:
    """Return the current application's."""
    return service(Passwords)
