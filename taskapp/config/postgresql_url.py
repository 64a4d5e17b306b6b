"""PostgreSQL URLs: the one function that reads them, and those that write and mask them.

libpq reads a URL differently from SQLAlchemy and from Python's urllib, which disagree on a raw `@`, `/`, `?` or `#` in a
password and on several hosts, and all three quote what they cannot read, password included. So this module alone reads
them, by libpq's grammar; every connection is made from the parameters it returns; and no message of it quotes the URL.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from itertools import zip_longest
from urllib.parse import quote, unquote

MASK = "***"
Parameters = dict[str, str]
"""What libpq connects with, by its own names."""

_FORM = "postgresql://role:password@host/database"
_ENCODE = f"is not a URL: {_FORM}, in which a password's own @ : / ? # % and spaces are percent-encoded, % as %25"
_SECRETS = re.compile("password|secret|scram_.*_key")


def read_url(url: str) -> Parameters:
    """Return the parameters that libpq would read from a URL.

    Stricter than libpq in one point: a second `@` is refused, since the rest of the password would be taken for a host.

    :raises ValueError: with the rest of a sentence that begins with the name of the setting or option; it quotes nothing.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError(_ENCODE)
    if scheme not in {"postgresql", "postgres"}:
        raise ValueError("must start with postgresql://")
    credentials, _, place = rest.rpartition("@")
    found = re.fullmatch(r"([^/?]*)(?:/([^?]*))?(?:\?(.*))?", place)
    # A line break, half a character of another encoding, or a space would each end up in a message of libpq's.
    if not found or not url.isprintable() or " " in url or "@" in credentials or "/" in credentials:
        raise ValueError(_ENCODE)
    user, _, password = credentials.partition(":")
    hosts, ports = _hosts(found[1])
    named = {"user": user, "password": password, "host": hosts, "port": ports, "dbname": found[2] or ""}
    read = {name: _decoded(value) for name, value in named.items() if value}
    for pair in found[3].split("&") if found[3] else ():
        name, equals, value = pair.partition("=")
        name = _decoded(name)
        if not re.fullmatch("[a-z_]+", name) or not equals or "=" in value:
            raise ValueError(_ENCODE)
        # The only other spelling that libpq knows, of JDBC.
        name, value = ("sslmode", "require") if (name, value) == ("ssl", "true") else (name, value)
        read[name] = _decoded(value)
    if any(port and not 0 < int(port) < 65536 for port in _ports(read)):
        raise ValueError("has a port that is none")
    return read


def arguments(url: str) -> Parameters:
    """Return what to connect with, so that the environment of this process changes nothing that the URL says.

    Of libpq's variables, PGCLIENTENCODING and PGOPTIONS have no effect, and where the URL names a host, PGHOSTADDR and
    PGPORT have none. docs/configuration.md lists what others do.

    :raises ValueError: as :func:`read_url`.
    """
    read = read_url(url)
    where = {"hostaddr": "", "port": "5432"} if read.get("host") or read.get("hostaddr") else {}
    return {"options": "", **where, **read, "client_encoding": "UTF8"}


def write_url(parameters: Mapping[str, str]) -> str:
    """Write a URL that :func:`read_url` reads as ``parameters``."""
    rest = dict(parameters)
    user, password = quote(rest.pop("user", ""), safe=""), quote(rest.pop("password", ""), safe="*")
    credentials = f"{user}:{password}@" if password else f"{user}@" if user else ""
    place = ""
    if not rest.get("host", "").startswith("/"):
        hosts, ports = rest.pop("host", "").split(","), rest.pop("port", "").split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        place = ",".join(_place(host, port) for host, port in zip_longest(hosts, ports, fillvalue=""))
    database = quote(rest.pop("dbname", ""), safe="")
    query = "&".join(f"{name}={quote(value, safe='/*,:')}" for name, value in rest.items())
    return f"postgresql://{credentials}{place}/{database}{query and '?' + query}"


def masked_url(url: str) -> str:
    """Write a URL without its secrets, wherever they stand in it."""
    return write_url({name: MASK if _SECRETS.search(name) else value for name, value in read_url(url).items()})


def hosts_of(url: str) -> list[str]:
    """Name every host and address that a connection may go to; an empty name is this machine's socket.

    :raises ValueError: as :func:`read_url`.
    """
    read = read_url(url)
    if "host" not in read and "hostaddr" not in read:
        read = {name: os.environ.get(f"PG{name.upper()}", "") for name in ("host", "hostaddr")}
    return [place for name in ("host", "hostaddr") for place in read.get(name, "").split(",")]


def _hosts(text: str) -> tuple[str, str]:
    """Split `host:port,host:port` into libpq's two lists."""
    found = [
        re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+(?:%25\w+)?)\]|([^:\[\]]*))(?::([0-9]{0,9}))?", each) for each in text.split(",")
    ]
    if None in found:
        raise ValueError(_ENCODE)
    hosts, ports = zip(*((each[1] or each[2], each[3] or "") for each in found if each), strict=True)
    return ",".join(hosts), ",".join(ports) if any(ports) else ""


def _ports(read: Parameters) -> list[str]:
    ports = read.get("port", "").split(",")
    if not all(re.fullmatch("[0-9]{0,9}", port) for port in ports):
        raise ValueError("has a port that is none")
    return ports


def _place(host: str, port: str) -> str:
    name = f"[{host.replace('%', '%25')}]" if ":" in host else quote(host, safe="")
    return f"{name}:{port}" if port else name


def _decoded(text: str) -> str:
    if re.search("%(?![0-9A-Fa-f]{2})|%00", text):
        raise ValueError(_ENCODE)
    with suppress(UnicodeDecodeError):
        return unquote(text, errors="strict")
    raise ValueError("is not UTF-8")
