"""`animatize export`: everything of one profile as one document, the same as the console gives.

It streams, and lands under its name only when its end is there: the manifest, which says what the document holds.
"""

import asyncio
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer
from pydantic import SecretStr

from animatize.landing import landing
from animatize.passphrases import PassphraseFile, passphrase_of
from animatize.reaching import LOST, At, Session, reached
from animatize.telling import Exit, Json, Step, Stop, answering, progress, tell
from chassis import documents

BACKUP: Final = "/api/settings/backup"
PIECE: Final = 1 << 18
TAIL: Final = 16 << 10  # more than a manifest takes
MANIFEST: Final = b',"manifest":'

To = Annotated[Path, typer.Argument(help="The document to write.")]
WithKeys = Annotated[bool, typer.Option("--with-keys", help="With the provider keys, sealed under a passphrase.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the document if it is there.")]


@dataclass(frozen=True)
class Exported:
    """What the document holds, as its manifest says."""

    file: str
    bytes: int
    counts: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        held = ", ".join(f"{number} {section.replace('_', ' ')}" for section, number in self.counts.items())
        return [f"{self.file}: {held}; {self.bytes} bytes"]


def export_profile(  # noqa: PLR0913, PLR0917 - the options of a command
    to: To,
    session: Session,
    url: At = None,
    with_keys: WithKeys = False,
    passphrase_file: PassphraseFile = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write everything of one profile into a document: settings, all history and runs, on demand the provider keys."""
    with answering(as_json=as_json):
        wanted = with_keys or passphrase_file is not None
        passphrase = passphrase_of(passphrase_file, twice=True) if wanted else None
        with landing(to, force=force) as stream, progress("KiB") as step:
            size, counts = asyncio.run(_exported(stream, url, session, passphrase, step))
        tell(Exported(str(to), size, counts), as_json=as_json)


async def _exported(
    stream: BinaryIO, url: str | None, session: Path, passphrase: SecretStr | None, step: Step
) -> tuple[int, dict[str, int]]:
    """Bytes, and what the manifest counts. Raises Stop where the document is not whole."""
    body = {"json": {"passphrase": passphrase.get_secret_value()}} if passphrase is not None else {}
    size, tail = 0, b""
    async with reached(url, session) as gateway, gateway.ask("POST" if body else "GET", BACKUP, **body) as answer:
        try:
            async for piece in answer.content.iter_chunked(PIECE):
                await asyncio.to_thread(stream.write, piece)
                size, tail = size + len(piece), (tail + piece)[-TAIL:]
                step(size >> 10)
        except LOST:
            raise _broken_off() from None
    return size, _counts(tail)


def _counts(tail: bytes) -> dict[str, int]:
    """Of the manifest, which stands last. Raises Stop where it does not."""
    _, found, manifest = tail.rstrip().rpartition(MANIFEST)
    try:
        counts: dict[str, int] = documents.parse(manifest.removesuffix(b"}"))["counts"]
    except (documents.Malformed, KeyError, TypeError):
        raise _broken_off() from None
    return counts if found else {}


def _broken_off() -> Stop:
    return Stop(Exit.BROKEN_OFF, "The document broke off before its end. Nothing was kept: begin again.")
