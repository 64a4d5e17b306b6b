"""Refresh tokens: opaque, rotating, and verified before the database hears of them.

A token names its user, its session and its generation, and carries a MAC of the three (security.md F19, F22). Nothing of it
is stored: the database keeps the number of the generation that is good, so the successor of a token can be written again for
whoever lost the race to refresh, and a forged token never gets as far as ending a session.
"""

import base64
import hmac
import struct
from dataclasses import dataclass
from uuid import UUID

from taskapp.web.responses.problems import Problem

PREFIX = "rt_"
_BODY = struct.Struct(">16s16sI")
_MAC_BYTES = 32


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """The ``generation``-th token of a session."""

    user_id: UUID
    session_id: UUID
    generation: int

    def write(self, keys: list[bytes]) -> str:
        """Sign with the first of ``keys``."""
        body = _BODY.pack(self.user_id.bytes, self.session_id.bytes, self.generation)
        return _text(body + _mac(keys[0], body))

    @classmethod
    def read(cls, text: str, keys: list[bytes]) -> "RefreshToken":
        """Verify with any of ``keys``, so that they can be rotated.

        :raises Problem: 401, the same whatever is wrong.
        """
        encoded = text.removeprefix(PREFIX)
        try:
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), "-_", validate=True)
        except ValueError as error:
            raise Problem("invalid_token") from error
        body, mac = raw[: _BODY.size], raw[_BODY.size :]
        genuine = any(hmac.compare_digest(mac, _mac(key, body)) for key in keys)
        # Base64 has more than one spelling of the last bits, and only ours is the token.
        if not (genuine and text == _text(raw) and len(body) == _BODY.size):
            raise Problem("invalid_token")
        user, session, generation = _BODY.unpack(body)
        return cls(UUID(bytes=user), UUID(bytes=session), generation)


def _text(raw: bytes) -> str:
    return PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"refresh:" + body, "sha256")
