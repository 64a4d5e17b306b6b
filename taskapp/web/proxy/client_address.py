"""Where a request comes from, as far as the proxies we know of say so."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from uuid import UUID

from flask import request

_USER = "taskapp.user"


def client_address() -> IPv4Address | IPv6Address | None:
    """Return where a request comes from; None when a proxy told us what is no address."""
    return _address(request.remote_addr)


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        # A link-local address comes with its zone, which PostgreSQL's inet has no place for.
        address = ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def client_network(ipv4_bits: int) -> str:
    """Return the network a request comes from: of IPv6 always the /64, which one person can have all of."""
    return _network(client_address(), ipv4_bits)


def remember_user(user_id: UUID) -> None:
    """Note in the WSGI environment who sends the request, for the server; their token has been verified."""
    request.environ[_USER] = user_id


def client_of(environ: Mapping[str, Any]) -> str:
    """Name the client of a request that the application has answered: its user, or the network of an anonymous one.

    :param environ: of WSGI, with the client's address as far as trusted proxies say so.
    """
    if user_id := environ.get(_USER):
        return f"user {user_id}"
    return f"network {_network(_address(environ.get('REMOTE_ADDR')), ipv4_bits=32)}"


def _network(address: IPv4Address | IPv6Address | None, ipv4_bits: int) -> str:
    if address is None:
        return ""
    return str(ip_network(f"{address}/{ipv4_bits if address.version == 4 else 64}", strict=False))
