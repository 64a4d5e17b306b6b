"""The keys of access tokens, and which of them counts at what time.

The first signs and all are believed. When `flask database rotate-key` lets the last one take over, this changes by itself,
at one moment in all processes: until then the last is merely published, so that everybody knows it when it begins to sign,
and the others are believed until what they signed last has expired.
"""

import base64
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm

from taskapp.config import Config

# What verifying allows, and what the clocks of two hosts may differ by.
_GRACE_SECONDS = 60


@dataclass(frozen=True)
class SigningKey:
    """A private key as PEM, its public half, and its name."""

    kid: str
    pem: str = field(repr=False)
    public: EllipticCurvePublicKey = field(repr=False)

    @classmethod
    def read(cls, pem: str) -> "SigningKey":
        """Read one of the keys that the configuration has checked."""
        public = cast(EllipticCurvePrivateKey, load_pem_private_key(pem.encode(), password=None)).public_key()
        return cls(_thumbprint(public), pem, public)

    def jwk(self) -> dict[str, str]:
        """Return the public half, as RFC 7517 has it."""
        return {**_members(self.public), "kid": self.kid, "use": "sig", "alg": "ES256"}


class SigningKeys:
    """Those of one configuration. Moments are epochs, in seconds."""

    def __init__(self, config: Config) -> None:
        self._keys = [SigningKey.read(pem) for pem in config.jwt_private_keys]
        self.switch_at = config.jwt_switch_at.timestamp() if config.jwt_switch_at else math.inf
        """When the last key begins to sign; infinity when it does not."""
        self.over_at = self.switch_at + config.access_token_seconds + _GRACE_SECONDS
        """When it is the only one left."""

    def at(self, now: float) -> list[SigningKey]:
        """Return the keys that are believed; the first one signs."""
        if now < self.switch_at:
            return self._keys
        *before, last = self._keys
        return [last, *before] if now < self.over_at else [last]

    def believed_until(self, kid: str) -> float:
        """Say when a key ends, however long its tokens say that they last."""
        return math.inf if kid == self._keys[-1].kid else self.over_at


def _thumbprint(key: EllipticCurvePublicKey) -> str:
    """Name a key as RFC 7638 does."""
    members = json.dumps(_members(key), sort_keys=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).rstrip(b"=").decode()


def _members(key: EllipticCurvePublicKey) -> dict[str, str]:
    return cast(dict[str, str], ECAlgorithm.to_jwk(key, as_dict=True))
