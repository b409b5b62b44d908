"""Whose server an address is: what may be asked without limits, and what must not."""

import ipaddress
from urllib.parse import urlsplit


def host_of(url: str) -> str:
    """Return the server of an address in lower letters, without the dot that may end it."""
    return (urlsplit(url).hostname or "").lower().rstrip(".")


def is_loopback(host: str) -> bool:
    """Whether a server is this machine, as its name or number says; nobody is asked."""
    address = _address(host)
    return address.is_loopback if address is not None else host == "localhost" or host.endswith(".localhost")


def is_own(host: str) -> bool:
    """Whether a server is this machine or stands in a private network: somebody's own, not a public site."""
    address = _address(host)
    return is_loopback(host) or (address is not None and address.is_private)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
