"""The commands, a line each."""

import os

import typer

from animatize.recover import recover
from animatize.snapshot import snapshot
from animatize.status import status
from animatize.verify import verify

app = typer.Typer(
    help="Watches, copies, repairs and fills the data of the ANIMAtiZE Director Console.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(status)
app.command()(snapshot)
app.command()(verify)
app.command()(recover)


def main() -> None:
    os.umask(0o077)  # what people keep here is for nobody else on this machine
    app()
