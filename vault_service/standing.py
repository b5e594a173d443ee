"""What hangs on which root secret, by fingerprint, and so which of the old ones can go. Pure: no file, no key."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

MOST_NAMED: Final = 100


class Damaged(NamedTuple):
    """A stored key that its own secret, which is there, does not open; nor does any other."""

    table: str
    owner: str
    provider: str
    fingerprint: str


@dataclass(frozen=True)
class Standing:
    """`keys` counts all under each secret, `damaged` names those of previous secrets that do not open; `vault` is the
    secret of which the vault says that it was made with it."""

    vault: str
    current: str
    previous: Sequence[str]
    keys: Mapping[str, int]
    damaged: Sequence[Damaged]
    rewrapped: int = 0

    @property
    def left(self) -> dict[str, int]:
        """How many keys are under each other secret than the current one."""
        return {each: number for each, number in sorted(self.keys.items()) if each != self.current and number}

    @property
    def done(self) -> bool:
        return not self.left and self.vault == self.current

    @property
    def free(self) -> list[str]:
        """The previous secrets on which nothing hangs that can be read."""
        return [each for each in self.previous if each != self.vault and not self._readable(each)]

    def as_json(self) -> dict[str, Any]:
        return {
            "vault": self.vault,
            "current": self.current,
            "previous": list(self.previous),
            "keys": dict(self.keys),
            "rewrapped": self.rewrapped,
            "left": self.left,
            "free": self.free,
            "done": self.done,
            "damaged": [each._asdict() for each in self.damaged[:MOST_NAMED]],
            "damaged_count": len(self.damaged),
        }

    def lines(self) -> Iterator[str]:
        """For an operator."""
        yield f"current secret {self.current}: {self.keys.get(self.current, 0)} keys, {self.rewrapped} of them just now"
        for each in self.previous:
            yield f"previous secret {each}: {self._about(each)}"
        for each in sorted(self.left.keys() - {*self.previous}):
            yield f"unknown secret {each}: {self.keys[each]} keys; give it in ANIMATIZE_SECRET_KEY_PREVIOUS too"
        for table, owner, provider, fingerprint in self.damaged[:MOST_NAMED]:
            yield f"damaged: {provider} key of {owner} ({table}, {fingerprint}); no secret opens it"
        if len(self.damaged) > MOST_NAMED:
            yield f"damaged: {len(self.damaged) - MOST_NAMED} more"

    def _about(self, fingerprint: str) -> str:
        if fingerprint in self.free:
            return (
                "nothing hangs on it (not in use yet, or any more);"
                " it can go once no process runs with it as its ANIMATIZE_SECRET_KEY"
            )
        if readable := self._readable(fingerprint):
            return f"{readable} keys hang on it"
        return "the vault is still marked as made with it; python -m vault_service.rekey changes that"

    def _readable(self, fingerprint: str) -> int:
        lost = Counter(each.fingerprint for each in self.damaged)
        return self.keys.get(fingerprint, 0) - lost[fingerprint]
