"""The command that brings all stored keys under the current root secret: `python -m vault_service.rekey`.

Run it where the vault's data are, with the vault's environment, while the service runs. Exits with 0 when nothing is
left under another secret, 1 when something is, 2 when it could not begin. Progress goes to standard error;
Ctrl-C ends it at any moment.
"""

import argparse
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from typing import Final

from pydantic import SecretStr

from chassis.documents import write
from chassis.schema import Unusable, refuse_unready
from chassis.secrets import root_secret
from chassis.settings import load
from vault_service import rekeying
from vault_service.rekeying import Refused, Tell
from vault_service.rights import not_allowed, refuse_without_rights
from vault_service.settings import Settings
from vault_service.standing import Standing

DONE, LEFT, WRONG_SET_UP = 0, 1, 2
TELL_SECONDS: Final = 1.0


def main(arguments: Sequence[str]) -> int:
    chosen = _parser().parse_args(arguments)
    try:
        standing = worked_on(load(Settings), _telling(), only_told=chosen.status)
    except (SystemExit, Unusable, Refused) as refused:
        return _say(str(refused), WRONG_SET_UP)
    except KeyboardInterrupt:
        return _say("broken off; what is done stays done: begin again", LEFT)
    except sqlite3.Error as error:  # a file that is locked for too long, a full disk
        return _say(f"broken off ({error}); what is done stays done: begin again", LEFT)
    told = write(standing.as_json()).decode() if chosen.json else "\n".join(standing.lines())
    sys.stdout.write(f"{told}\n")
    return DONE if standing.done else LEFT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m vault_service.rekey", description=__doc__)
    parser.add_argument("--status", action="store_true", help="only tell what is under which secret")
    parser.add_argument("--json", action="store_true", help="tell it as one line of JSON")
    return parser


def worked_on(settings: Settings, tell: Tell, *, only_told: bool) -> Standing:
    """Look, or bring all under the current secret. Raises Unusable, Refused, and sqlite3.Error where it breaks off."""
    file, previous = settings.database, settings.secret_key_previous
    refuse_without_rights(file)
    refuse_unready(file, "vault_service")  # before a secret is made for a vault that is not there
    root = _root_secret(settings)
    return rekeying.standing(file, root, previous) if only_told else rekeying.rekey(file, root, previous, tell)


def _root_secret(settings: Settings) -> SecretStr:
    """Raises Refused where the secret that stands beside the databases in development is not this user's to read."""
    try:
        return root_secret(settings.secret_key, settings.database.parent)
    except PermissionError as error:
        raise not_allowed(error.filename) from error


def _telling() -> Tell:
    """Tells the first and the last, and between them one a second."""
    told_at = 0.0

    def tell(seen: int, total: int) -> None:
        nonlocal told_at
        if seen == total or time.monotonic() - told_at >= TELL_SECONDS:
            told_at = time.monotonic()
            _say(f"{seen} of {total} keys")

    return tell


def _say(text: str, code: int = DONE) -> int:
    sys.stderr.write(f"{text}\n")
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell began it in the background
    sys.exit(main(sys.argv[1:]))
