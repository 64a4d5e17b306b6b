"""Seals: how PostgreSQL knows that a claimed identity comes from this application.

``app.user_id`` is a plain setting, and any SQL that runs can overwrite it: no GRANT can prevent that. A claim therefore
counts only together with a seal, ``<key id>.<expiry epoch>.<hex HMAC-SHA256(key, subject . expiry)>``, which the database
verifies in ``app_private.verify_seal`` and which nobody can make without the key.

The subject names the login role and the purpose: a seal that injected SQL finds in one request is of no use in another role,
or for another purpose.
"""

import hmac
from dataclasses import dataclass
from typing import NamedTuple, Self

SEAL_SECONDS = 60
"""How long a seal lives, by the clock: longer than a transaction may take (30 s). No identity lasts longer."""


def session_subject(role: str, user_id: object, session_id: object) -> str:
    """Return what is sealed for a signed-in user, who enters through the login role ``role``."""
    return f"session:{session_id}:{role}:{user_id}"


def proven_subject(role: str, user_id: object) -> str:
    """Return what is sealed for a user whose password was just verified or set."""
    return f"proven:{role}:{user_id}"


def login_subject(role: str, email: str) -> str:
    """Return what is sealed for a log-in with an address."""
    return f"login:{role}:{email}"


def bearer_subject(role: str, user_id: object, digest: bytes) -> str:
    """Return what is sealed for a personal access token: that a client sent it, and not that it is genuine."""
    return f"bearer:{role}:{user_id}:{digest.hex()}"


_BLOCK = 64  # bytes: SHA-256's block size, RFC 2104 section 2


class Pads(NamedTuple):
    """What the database stores of a key: RFC 2104's ``K XOR ipad`` and ``K XOR opad``, 64 bytes each."""

    inner: bytes
    outer: bytes


@dataclass(frozen=True, slots=True)
class SealKey:
    """A named HMAC key, of at most 64 bytes."""

    key_id: str
    secret: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``<key id>:<hex digits>``, the form of the setting ``TASKAPP_SEAL_KEY``."""
        key_id, _, digits = text.partition(":")
        return cls(key_id, bytes.fromhex(digits))

    def seal(self, subject: str, server_time: float) -> str:
        """Seal ``subject`` for a minute from ``server_time``, an epoch on the database server's clock."""
        expiry = int(server_time) + SEAL_SECONDS
        mac = hmac.digest(self.secret, f"{subject}.{expiry}".encode(), "sha256")
        return f"{self.key_id}.{expiry}.{mac.hex()}"

    def pads(self) -> Pads:
        """Precompute the two pads, so that the server's built-in ``sha256()`` is all that verifying needs."""
        padded = self.secret.ljust(_BLOCK, b"\0")
        return Pads(bytes(b ^ 0x36 for b in padded), bytes(b ^ 0x5C for b in padded))
