"""What production refuses, though it is of the right form: keys that are no secret, and passwords sent in the clear."""

import ipaddress
import re
from collections.abc import Iterator, Mapping

from taskapp.config.postgresql_url import hosts_of, read_url

LOCAL_MARK = "local"
"""What a secret's name or first line begins with when `make run` made it, for one machine only."""

_ENCRYPTED = {"require", "verify-ca", "verify-full"}
_DISTINCT_DIGITS = 8


def unsafe(secrets: Mapping[str, str]) -> Iterator[str]:
    """Say of each secret, by the name of its variable, what is wrong with it."""
    for variable, value in secrets.items():
        if variable.endswith("DATABASE_URL"):
            yield from _unencrypted(variable, value)
        elif re.search(rf"\b{LOCAL_MARK}\b", value):
            yield f"{variable} was made by `make run` for one machine; production has its own: run `flask database init`"
        # Of 64 random digits there are more; fewer were typed by somebody, or stood in an example.
        elif any(len(set(digits)) < _DISTINCT_DIGITS for digits in re.findall(r"\b[0-9a-f]{64}\b", value)):
            yield f"{variable} is not random; run `flask database init`, or `openssl rand -hex 32`"


def _unencrypted(variable: str, url: str) -> Iterator[str]:
    """Find what libpq would send in the clear if the server, or who poses as it, does not offer encryption."""
    far = [host for host in hosts_of(url) if not _is_near(host)]
    if far and read_url(url).get("sslmode") not in _ENCRYPTED:
        yield f"{variable} goes to {far[0]} and may not be encrypted: add ?sslmode=verify-full, or require"


def _is_near(host: str) -> bool:
    """Tell whether a host is this one, or of a network of containers: such names have no dot, those of the internet do."""
    if host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return "." not in host
