"""`animatize import`: a document into one profile, all or nothing, as the console does it.

1 send it, under an id of its own   2 where the answer is lost, or the end has to be waited for, ask for the outcome by
that id until there is one   3 tell what came in, and what did not
"""

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import aiohttp
import typer
from pydantic import SecretStr

from animatize.imported import Imported
from animatize.passphrases import PassphraseFile, passphrase_of
from animatize.reaching import LOST, At, Gateway, Session, reached
from animatize.telling import Exit, Json, Step, Stop, answering, progress, tell
from chassis import documents
from chassis.once import NAME_HEADER
from gateway.services import PASSPHRASE_HEADER

RESTORE: Final = "/api/settings/restore"
PIECE: Final = 1 << 18
ANSWER_SECONDS: Final = 900.0
WAIT_SECONDS: Final = 600.0  # for the outcome, once the answer is lost
LOOK_SECONDS: Final = 1.0
COMPLETING: Final = "restore_completing"


class Mode(StrEnum):
    """What becomes of what the document does not name."""

    MERGE = "merge"
    REPLACE = "replace"


From = Annotated[Path, typer.Argument(help="A backup, or an export of a browser-only console.")]
How = Annotated[Mode, typer.Option("--mode", help="merge: what the document does not name stays. replace: it goes.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would come in.")]
WithKeys = Annotated[bool, typer.Option("--with-keys", help="With the sealed provider keys: asks for the passphrase.")]


def import_profile(  # noqa: PLR0913, PLR0917 - the options of a command
    document: From,
    session: Session,
    url: At = None,
    mode: How = Mode.MERGE,
    dry_run: DryRun = False,
    with_keys: WithKeys = False,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Put a document into one profile, all of it or nothing. Exits with 1 where something in it could not be used."""
    with answering(as_json=as_json):
        wanted = with_keys or passphrase_file is not None
        passphrase = passphrase_of(passphrase_file, twice=False) if wanted else None
        order = Order(document, mode, passphrase, dry_run=dry_run)
        imported = Imported(dry_run, asyncio.run(_imported(order, url, session)))
        tell(imported, as_json=as_json)
        if imported.warnings:
            raise typer.Exit(Exit.FOUND)


class Order:
    """What is asked of the gateway, and the id by which it is asked about afterwards."""

    def __init__(self, document: Path, mode: Mode, passphrase: SecretStr | None, *, dry_run: bool) -> None:
        self.document, self.dry_run = document, dry_run
        self.id = f"import-{secrets.token_hex(8)}"
        self.query = {"mode": mode.value, "dry_run": str(dry_run).lower()}
        self._passphrase = passphrase

    def headers(self, size: int) -> dict[str, str]:
        sealed = {} if self._passphrase is None else {PASSPHRASE_HEADER: quote(self._passphrase.get_secret_value(), "")}
        return {"Content-Type": "application/json", "Content-Length": str(size), NAME_HEADER: self.id} | sealed


async def _imported(order: Order, url: str | None, session: Path) -> dict[str, Any]:
    async with reached(url, session) as gateway:
        try:
            return await _send(gateway, order)
        except LOST as error:
            if order.dry_run:
                raise Stop(Exit.BROKEN_OFF, f"The answer was lost ({error}). A dry run changes nothing.") from None
        except Stop as stop:
            if stop.more.get("problem") != COMPLETING:
                raise
        return await _outcome(gateway, order)


async def _send(gateway: Gateway, order: Order) -> dict[str, Any]:
    try:
        size = order.document.stat().st_size
        with order.document.open("rb") as stream, progress("KiB", size >> 10) as step:
            rest: dict[str, Any] = {"params": order.query, "data": _pieces(stream, step)}
            waiting = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=ANSWER_SECONDS)
            async with gateway.ask("POST", RESTORE, order.headers(size), timeout=waiting, **rest) as answer:
                found: dict[str, Any] = documents.parse(await answer.read())
                return found
    except aiohttp.ClientError:
        raise
    except OSError as error:
        raise Stop(Exit.REFUSED, f"{order.document} cannot be read ({error.strerror}).") from error


async def _pieces(stream: Any, step: Step) -> AsyncIterator[bytes]:
    sent = 0
    while piece := await asyncio.to_thread(stream.read, PIECE):
        yield piece
        sent += len(piece)
        step(sent >> 10)


async def _outcome(gateway: Gateway, order: Order) -> dict[str, Any]:
    """Raises Stop where nothing came in, or nobody can tell yet."""
    sys.stderr.write(f"The answer was lost or is not there yet: asking for the outcome of {order.id}.\n")
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        entry = await _entry(gateway, order)
        if entry is not None and entry["stage"] == "done":
            outcome: dict[str, Any] = entry["outcome"]
            return outcome
        if entry is not None and entry["stage"] in ("aborted", "failed"):
            problem = (entry["outcome"] or {}).get("problem", {})
            told = problem.get("detail", "It was given up. Nothing was changed; try again.")
            code = Exit.BROKEN_OFF if entry["stage"] == "aborted" else Exit.FOUND
            raise Stop(code, told, problem=problem.get("code"), restore_id=order.id)
        await asyncio.sleep(LOOK_SECONDS)
    detail = f"Nobody can tell yet what came of it: ask for /api/settings/restores/{order.id} later."
    raise Stop(Exit.AWAY, detail, restore_id=order.id)


async def _entry(gateway: Gateway, order: Order) -> dict[str, Any] | None:
    """None while the gateway does not answer. Raises Stop where it has never heard of the restore."""
    try:
        entry: dict[str, Any] = await gateway.read(f"/api/settings/restores/{order.id}")
    except LOST:
        return None
    except Stop as stop:
        if stop.more.get("problem") == "unknown_restore":
            told = "The document never arrived. Nothing was changed: begin again."
            raise Stop(Exit.BROKEN_OFF, told, restore_id=order.id) from None
        if stop.code is Exit.AWAY:
            return None
        raise
    return entry
