"""Several containers of a service, and of the gateway, of which each takes a port of its own."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tests.compose.console import Console


def scaling(**numbers: int) -> list[str]:
    return [part for name, number in numbers.items() for part in ("--scale", f"{name}={number}")]


@contextmanager
def room_for_two_gateways(console: Console, services: Iterable[str]) -> Iterator[None]:
    """A range of ports, so that a second gateway has one; one container each of the services again in the end."""
    port, next_port = console.ports
    console.environment["ANIMATIZE_PORT"] = f"{port}-{next_port}"
    console.up()
    yield
    console.environment["ANIMATIZE_PORT"] = str(port)
    console.up(*scaling(**dict.fromkeys(services, 1)))
