"""`animatize rekey`: brings every stored provider key under the current root secret, by the vault's own code.

`python -m vault_service.rekey` is the same, for where only the vault is installed.
"""

from typing import Annotated

import typer

from animatize import troubles
from animatize.places import loaded
from animatize.telling import Exit, Json, Stop, answering, progress, tell
from vault_service.rekey import worked_on
from vault_service.rekeying import Refused, Tell
from vault_service.settings import Settings
from vault_service.standing import Standing

Status = Annotated[bool, typer.Option("--status", help="Only tell what is under which secret.")]


def rekey(status: Status = False, as_json: Json = False) -> None:
    """Wrap every stored provider key anew after a change of the root secret.

    Works beside the services, may be broken off at any moment and begun again. Exits with 1 where something is left.
    """
    with answering(as_json=as_json):
        with progress("Keys") as step:
            standing = _standing(step, only_told=status)
        tell(standing, as_json=as_json)
        if not standing.done:
            raise typer.Exit(Exit.FOUND)


def _standing(step: Tell, *, only_told: bool) -> Standing:
    try:
        with troubles.told(troubles.BIT_BY_BIT):
            return worked_on(loaded(Settings), step, only_told=only_told)
    except Refused as refused:
        raise Stop(Exit.REFUSED, str(refused)) from None
