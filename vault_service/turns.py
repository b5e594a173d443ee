"""Work that takes much memory on purpose, off the event loop: one at a time, however many ask."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# A thread of its own, so that those who wait do not hold the event loop's own few, which look up addresses as well.
_ONE: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="argon2")


async def in_turn(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of `work`, run once all that was asked for before is done."""
    return await asyncio.wrap_future(_ONE.submit(work, *args, **kwargs))
