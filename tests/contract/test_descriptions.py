"""What each process says of its own routes can be put together into one document."""

from typing import Any

from chassis.openapi import describe
from gateway.routes import ROUTES
from tests.contract.conftest import SERVICES, Start


async def test_no_two_processes_call_two_things_by_one_name(start: Start) -> None:
    named: dict[str, Any] = {}
    for table in (ROUTES, *[(await start(name)).routes for name in SERVICES]):
        for name, schema in describe(table)["components"]["schemas"].items():
            assert named.setdefault(name, schema) == schema, name
    assert len(named) > 10
