"""The root secret: where it comes from in development, and the keys derived from it. Never in a log or an error."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

DEVELOPMENT_FILE: Final = "animatize_development_secret"


def root_secret(configured: SecretStr | None, folder: Path) -> SecretStr:
    """The configured secret or, in development, one made once beside the databases with mode 0600.

    Processes that start together agree: the file appears under its name complete (`link` is atomic and exclusive).
    """
    if (there := existing_root_secret(configured, folder)) is not None:
        return there
    folder.mkdir(parents=True, exist_ok=True)
    _create_once(folder / DEVELOPMENT_FILE, secrets.token_urlsafe(48))
    return _read(folder / DEVELOPMENT_FILE)


def existing_root_secret(configured: SecretStr | None, folder: Path) -> SecretStr | None:
    """The same for whoever makes none: None where there is none yet."""
    if configured is not None:
        return configured
    file = folder / DEVELOPMENT_FILE
    return _read(file) if file.exists() else None


def derive(secret: SecretStr, purpose: str) -> bytes:
    """32 bytes for one purpose; HKDF-SHA256 (RFC 5869), so that no derived key tells anything of another."""
    return HKDF(SHA256(), 32, salt=None, info=f"animatize/{purpose}".encode()).derive(
        secret.get_secret_value().encode()
    )


def _read(file: Path) -> SecretStr:
    return SecretStr(file.read_text(encoding="ascii").strip())


def _create_once(file: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=file.parent)  # mkstemp opens with O_EXCL and mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileExistsError):
            os.link(name, file)
    finally:
        os.unlink(name)
