"""Where a request comes from, as far as the proxies we know of say so."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from flask import request


def client_address() -> IPv4Address | IPv6Address | None:
    """Return where a request comes from; None when a proxy told us what is no address."""
    try:
        # A link-local address comes with its zone, which PostgreSQL's inet has no place for.
        address = ip_address((request.remote_addr or "").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def client_network(ipv4_bits: int) -> str:
    """Return the network a request comes from: of IPv6 always the /64, which one person can have all of."""
    address = client_address()
    if address is None:
        return ""
    return str(ip_network(f"{address}/{ipv4_bits if address.version == 4 else 64}", strict=False))
