"""How much is tested, and with which dice: all of it in CI, a spread of it elsewhere."""

import os
import random
from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

IN_CI: Final = os.environ.get("CI") == "true"
SEED: Final = int(os.environ.get("ANIMATIZE_TEST_SEED") or random.SystemRandom().randrange(1_000_000))
KILLS: Final = int(os.environ.get("ANIMATIZE_TEST_KILLS") or (100 if IN_CI else 20))


def spread(cases: Sequence[T], number: int) -> list[T]:
    """All the cases in CI, in their order; elsewhere `number` of them, by the seed."""
    return list(cases) if IN_CI or number >= len(cases) else some(cases, number)


def some(cases: Sequence[T], number: int) -> list[T]:
    """`number` of the cases in their order, by the seed."""
    chosen = sorted(random.Random(SEED).sample(range(len(cases)), number))
    return [cases[place] for place in chosen]
