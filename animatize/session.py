"""Whose profile: the session cookie out of a file, as curl writes one, or with the bare value. Never an argument."""

import re
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import SecretStr
from yarl import URL

from animatize.telling import Exit, Stop
from gateway.identity import COOKIE

BARE: Final = re.compile(r"[A-Za-z0-9_-]{20,100}")
HTTP_ONLY: Final = "#HttpOnly_"
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class Kept(NamedTuple):
    """A session cookie of a jar, and where it may be sent."""

    host: str
    subdomains: bool
    secure: bool
    value: str

    def is_for(self, url: URL) -> bool:
        host = url.host or ""
        near = host == self.host or (self.subdomains and host.endswith(f".{self.host}"))
        return near and (not self.secure or url.scheme == "https" or host in LOOPBACK)


def session_of(file: Path, url: URL) -> SecretStr:
    """The cookie's value for the gateway at `url`. Raises Stop where the file has none that may be sent there."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Stop(Exit.REFUSED, f"The session cannot be read from {file}: {_reason(error)}.") from None
    if BARE.fullmatch(text):
        return SecretStr(text)
    kept = [found for line in text.splitlines() if (found := _kept(line)) is not None]
    for each in reversed(kept):
        if each.is_for(url):
            return SecretStr(each.value)
    hosts = ", ".join(sorted({each.host for each in kept}))
    why = (
        f"it has one for {hosts}, not for {url}" if kept else f"it is no cookie jar with an {COOKIE}, nor a bare value"
    )
    raise Stop(Exit.REFUSED, f"There is no session in {file}: {why}.")


def _kept(line: str) -> Kept | None:
    """Of a line of a Netscape cookie jar: domain, subdomains, path, secure, expiry, name, value, tabs between."""
    fields = line.removeprefix(HTTP_ONLY).split("\t")
    if len(fields) != 7 or fields[5] != COOKIE:
        return None
    domain, subdomains, _, secure, _, _, value = fields
    return Kept(domain.lstrip("."), subdomains == "TRUE", secure == "TRUE", value)


def _reason(error: Exception) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "it is not UTF-8"
