"""The kinds of values that settings have: how their texts are read, and what of a secret may be shown."""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from taskapp.config.p256 import private_keys, with_line_breaks
from taskapp.config.postgresql_url import MASK, masked_url, read_url
from taskapp.config.setting import Kind


def number(low: int, high: int) -> Kind:
    """Whole numbers from ``low`` to ``high``."""
    words = f"{low:,} to {high:,}"

    def read(text: str) -> int:
        if not re.fullmatch("-?[0-9]{1,12}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {words}")
        return int(text)

    return Kind(words, read)


def one_of(*words: str) -> Kind:
    """One of these words."""
    listed = " or ".join(f"`{word}`" for word in words)

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be {listed}")
        return text

    return Kind(listed, read)


def _word(text: str) -> str:
    if not re.fullmatch(r"\S+", text):
        raise ValueError("must be one word")
    return text


def _masked_url(url: str) -> str:
    """Write a URL without the password in front of its host."""
    parts = urlsplit(url)
    credentials, at, host = parts.netloc.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return parts._replace(netloc=f"{user}{colon and ':' + MASK}{at}{host}").geturl()


def _postgresql_url(url: str) -> str:
    """Read the URL of a PostgreSQL database.

    A pooler refuses start-up ``options`` (PgBouncer: ``unsupported startup parameter``), and a setting smuggled in there
    would be session-scoped, which this project never uses: better one clear line here than a FATAL at the first request.
    With ``replication`` the server speaks another language.
    """
    if refused := {"options", "replication"} & read_url(url).keys():
        raise ValueError(f"must not carry `{min(refused)}`: a transaction-mode pooler refuses it")
    return url


def _redis_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"redis", "rediss"} and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    # What the client takes from the query of a URL would override the time-outs that keep requests going.
    if not known or not url.isprintable() or parts.query or parts.fragment or not re.fullmatch("(/[0-9]*)?", parts.path):
        raise ValueError("is not a URL of Redis: redis://user:password@host:6379/0")
    return url


def _http_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or parts.query or parts.fragment:
        raise ValueError("is not a URL like http://127.0.0.1:4318")
    return url


_LONGEST_PREFIX = 200
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def _public_url(text: str) -> str:
    if re.match("https?://[^/]+/.", text):
        raise ValueError("must have no path; that is told by X-Forwarded-Prefix or SCRIPT_NAME")
    (origin,) = _origins(text) if "," not in text else ("",)
    if not origin.startswith(("http://", "https://")):
        raise ValueError("is not one origin like https://tasks.example.com")
    return origin


def path_prefix(text: str) -> str:
    """Read what paths begin with, such as ``/api``; a slash behind it is left out.

    Nothing is in it that means anything to a URL, a header or HTML, and no dot segment: others build links from it.

    :raises ValueError: when it is something else.
    """
    prefix = text.removesuffix("/")
    if not re.fullmatch(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*", prefix) or len(prefix) > _LONGEST_PREFIX:
        raise ValueError("is not a path like /api")
    return prefix


def _script_name(text: str) -> str:
    # gunicorn takes it as it stands.
    if path_prefix(text) != text:
        raise ValueError("must not end with a slash")
    return text


def _hosts(text: str) -> list[str]:
    """Read names as they stand in a Host header, without a port."""
    hosts = [host.strip() for host in text.split(",")]
    for host in hosts:
        if not re.fullmatch(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]", host):
            raise ValueError(
                f"has {host[:100]!r}, which is not a name like tasks.example.com, in small letters, without a port"
            )
    return hosts


def _origins(text: str) -> list[str]:
    """Read origins as browsers write them (RFC 6454 section 6.2): an address in any other spelling would never be met."""
    origins = [origin.strip() for origin in text.split(",")]
    for origin in origins:
        found = re.fullmatch(
            r"([a-z][a-z0-9+.-]*)://([a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::([1-9][0-9]{0,4}))?", origin
        )
        if not found or int(found[3] or 1) > 65535 or found[3] == _DEFAULT_PORTS.get(found[1], ""):
            raise ValueError(
                f"has {origin[:100]!r}, which is not an origin like https://app.example.com, "
                "in small letters, without a path, a default port or a wildcard"
            )
    return origins


def _seal_key(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,32}:[0-9a-f]{64}", text):
        raise ValueError("must be `<key id>:<64 hex digits>`")
    return text


def _refresh_keys(text: str) -> list[bytes]:
    # One that `make run` made bears its mark in front.
    keys = [re.fullmatch(r"(?:[a-z]+:)?([0-9a-f]{64})", key) for key in text.split(",")]
    if None in keys:
        raise ValueError("must be 64 hex digits each, with a comma between two")
    return [bytes.fromhex(key[1]) for key in keys if key]


_SWITCH = "the last key signs from"


def switching(keys: list[str], moment: datetime) -> str:
    """Write TASKAPP_JWT_PRIVATE_KEY so that the last of ``keys`` takes over by itself at ``moment``, to the second."""
    *before, last = keys
    line = f"{_SWITCH} {moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return "\n".join([*(key.strip() for key in before), line, last.strip(), ""])


def _switch_at(text: str) -> datetime | None:
    if _SWITCH not in text:
        return None
    found = re.findall(rf"^{_SWITCH} (\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$", with_line_breaks(text), re.MULTILINE)
    try:
        (moment,) = map(datetime.fromisoformat, found)
    except ValueError as error:
        raise ValueError(f"has one line that says `{_SWITCH} 2026-01-31T23:59:59Z`, or none") from error
    return moment


def _counted(keys: list[Any]) -> str:
    return "1 key" if len(keys) == 1 else f"{len(keys)} keys"


WORD = Kind("a word", _word)
ORIGINS = Kind("origins such as `https://app.example.com`, with a comma between two", _origins)
PUBLIC_URL = Kind("`https://host` or `https://host:port`", _public_url)
SCRIPT_NAME = Kind("a path such as `/api`", _script_name)
HOSTS = Kind("names such as `tasks.example.com`, with a comma between two", _hosts)
POSTGRESQL_URL = Kind("`postgresql://role:password@host/database`", _postgresql_url, masked_url)
REDIS_URL = Kind("`redis://[[user]:password@]host[:port][/database]`", _redis_url, _masked_url)
HTTP_URL = Kind("`http://host:port` or `https://…`", _http_url, _masked_url)
SEAL_KEY = Kind("`<key id>:<64 hex digits>`", _seal_key, lambda key: f"{key.partition(':')[0]}:{MASK}")
P256_PRIVATE_KEYS = Kind("PEM, one or more", private_keys, _counted)
SWITCH_AT = Kind("a line of it", _switch_at, str)
REFRESH_KEYS = Kind("64 hex digits each, with a comma between two", _refresh_keys, _counted)
