"""The commands, a line each."""

import os

import typer

from animatize.export_profile import export_profile
from animatize.import_profile import import_profile
from animatize.link import link
from animatize.migrate_monolith import migrate_monolith
from animatize.prune import prune
from animatize.recover import recover
from animatize.rekey import rekey
from animatize.snapshot import snapshot
from animatize.status import status
from animatize.verify import verify
from animatize.worker_token import worker_token

app = typer.Typer(
    help="Watches, copies, repairs and fills the data of the ANIMAtiZE Director Console.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("export")(export_profile)
app.command("import")(import_profile)
app.command("link")(link)
app.command("migrate-monolith")(migrate_monolith)
app.command("prune")(prune)
app.command("recover")(recover)
app.command("rekey")(rekey)
app.command("snapshot")(snapshot)
app.command("status")(status)
app.command("verify")(verify)
app.command("worker-token")(worker_token)


def main() -> None:
    os.umask(0o077)  # what people keep here is for nobody else on this machine
    app(prog_name="animatize")
