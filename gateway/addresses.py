"""Who is asking, and at which address, where proxies stand in front: what these say is believed of trusted ones alone.

`X-Forwarded-For` grows at its right end, hop by hop; whatever stands left of the last trusted hop anybody can have
written. None of these headers is passed on to a service.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated

from aiohttp import web
from pydantic import BeforeValidator
from pydantic_settings import NoDecode

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAPPED = IPv6Network("::ffff:0:0/96")  # IPv4 as a socket for both kinds writes it (RFC 4291, 2.5.5.2)
# One hop: an address, in brackets or not, with the port that some proxies add.
HOP = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|([0-9.]+):\d{1,5}|([0-9A-Fa-f:.]+)", re.ASCII)


def _parse_networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return tuple(_network(part.strip()) for part in value.split(",") if part.strip())
    except ValueError:
        raise ValueError(
            "write addresses and networks, comma-separated, for example 10.0.0.5,192.168.0.0/16,fd00::/8"
        ) from None


def _network(text: str) -> Network:
    """A network of IPv4 where the text means one. Raises ValueError, also where an address has bits beyond its mask."""
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - MAPPED.prefixlen))
    return network


Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_parse_networks)]
TRUSTED_PROXIES: web.AppKey[tuple[Network, ...]] = web.AppKey("trusted_proxies", tuple)


def address_of(request: web.Request) -> Address | None:
    """The nearest address that is no trusted proxy's, or the farthest that a trusted one names readably."""
    address = _address(request.remote or "")
    for text in reversed(_elements(request, "X-Forwarded-For")):
        if not _is_trusted(request, address) or (farther := _hop(text)) is None:
            break
        address = farther
    return address


def host_of(request: web.Request) -> str:
    """The host, with its port where one is written, that the caller asked for."""
    return _told(request, "X-Forwarded-Host") or request.host


def scheme_of(request: web.Request) -> str | None:
    """`http` or `https`, as a trusted proxy says that the caller came; None where none says so."""
    told = (_told(request, "X-Forwarded-Proto") or "").lower()
    return told if told in ("http", "https") else None


def _told(request: web.Request, name: str) -> str | None:
    """What the nearest proxy wrote, if it is trusted: the last element; those before it came from farther off."""
    if request.headers.get(name) is None or not _is_trusted(request, _address(request.remote or "")):
        return None
    return _elements(request, name)[-1]


def _elements(request: web.Request, name: str) -> list[str]:
    """The elements of a list header; several lines are one list (RFC 9110, 5.3)."""
    lines = request.headers.getall(name, ())
    return [each.strip() for each in ",".join(lines).split(",")] if lines else []


def _is_trusted(request: web.Request, address: Address | None) -> bool:
    return address is not None and any(address in network for network in request.app[TRUSTED_PROXIES])


def _hop(text: str) -> Address | None:
    found = HOP.fullmatch(text)
    return _address(found[1] or found[2] or found[3]) if found else None


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
