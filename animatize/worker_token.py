"""`animatize worker-token`: what a generation worker shows the vault or the runs service.

Signed with the gateways' key, which is derived of the root secret: who has that needs no command. The token goes into a
file of its own and is told nowhere else.
"""

import os
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from animatize import troubles
from animatize.places import Place, place
from animatize.telling import Exit, Json, Stop, answering, tell
from chassis.peers import EVERY_OWNER, MOST_WORKER_SECONDS, OWNER, OWNER_HEADER, Signer
from chassis.secrets import DEVELOPMENT_FILE

LIFE: Final = re.compile(r"([1-9][0-9]{0,6})([mhd])")
SECONDS: Final = {"m": 60, "h": 3600, "d": 24 * 3600}
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class Service(StrEnum):
    """Where a worker has something to do."""

    VAULT = "vault"
    RUNS = "runs"


ToService = Annotated[Service, typer.Argument(help="vault: to read a provider key. runs: to write a run.")]
Out = Annotated[Path, typer.Option("--out", help="The file for the token: made with mode 600, never overwritten.")]
Owner = Annotated[str, typer.Option("--owner", help=f"user:<id>, guest:<id>, or all: then {OWNER_HEADER} names one.")]
Life = Annotated[str, typer.Option("--life", help="How long it is good: 30m, 8h, 7d; 90d at most.")]
Name = Annotated[str, typer.Option("--name", help="What the audits call the worker.")]


@dataclass(frozen=True)
class Made:
    """What may be told of a token. `key_id` is of the key that signed it, as the gateways publish it."""

    file: str
    service: str
    owner: str
    worker: str
    expires_at: str
    key_id: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        whose = "all owners" if self.owner == EVERY_OWNER else self.owner
        return [
            f"{self.file}: a token for the {self.service} service and {whose}, good until {self.expires_at}.",
            f"The audit calls it {self.worker}. It is signed with key {self.key_id}, and ends early only with that.",
        ]


def worker_token(
    service: ToService,
    out: Out,
    owner: Owner,
    life: Life = "24h",
    name: Name = "worker",
    as_json: Json = False,
) -> None:
    """Make a generation worker's token: for one service, one owner or all, and a life of 90 days at most."""
    with answering(as_json=as_json), troubles.told():
        whose, seconds = _owner(owner), _seconds(life)
        if NAME.fullmatch(name) is None:
            raise Stop(Exit.USAGE, "--name takes up to 40 letters, digits and . _ -, and begins with neither of these.")
        signer, worker = _signer(place()), f"{name}-{secrets.token_hex(4)}"
        ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
        _keep(out, signer.worker_token(whose, service, worker, seconds))
        key_id = signer.jwks()["keys"][0]["kid"]
        tell(Made(str(out), service, whose, worker, ends.isoformat(), key_id), as_json=as_json)


def _owner(given: str) -> str:
    if given == "all":
        return EVERY_OWNER
    if OWNER.fullmatch(given) is None:
        raise Stop(Exit.USAGE, f"{given!r} is no owner: write user:<id>, guest:<id> or all.")
    return given


def _seconds(life: str) -> int:
    found = LIFE.fullmatch(life)
    seconds = int(found[1]) * SECONDS[found[2]] if found else 0
    if not 0 < seconds <= MOST_WORKER_SECONDS:
        raise Stop(Exit.USAGE, f"{life!r} is no life of a token: write 30m, 8h or 7d; 90d is the longest.")
    return seconds


def _signer(where: Place) -> Signer:
    """Raises Stop where there is no root secret: one made here would sign what nobody believes."""
    folder = where.files["vault_service"].parent
    if where.secret_key is None and not (folder / DEVELOPMENT_FILE).exists():
        detail = f"There is no root secret, nor one in {folder}: set ANIMATIZE_SECRET_KEY_FILE as for the gateway."
        raise Stop(Exit.REFUSED, detail)
    return Signer(where.root)


def _keep(file: Path, token: str) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Stop(Exit.REFUSED, f"{file} is there already: name another file, or take it away.") from None
    except OSError as error:
        raise Stop(Exit.REFUSED, f"{file} cannot be made ({error.strerror}).") from error
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(f"{token}\n")
    except OSError:
        file.unlink(missing_ok=True)  # half a token would only be in the way of the next one
        raise
