"""The commands, a line each."""

import typer

from animatize.prune import prune
from animatize.rekey import rekey
from animatize.worker_token import worker_token

app = typer.Typer(
    help="Watches, copies, repairs and fills the data of the ANIMAtiZE Director Console.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("prune")(prune)
app.command("rekey")(rekey)
app.command("worker-token")(worker_token)


def main() -> None:
    app()
