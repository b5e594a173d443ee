"""The commands, a line each."""

import typer

from animatize.link import link
from animatize.migrate_monolith import migrate_monolith

app = typer.Typer(
    help="Watches, copies, repairs and fills the data of the ANIMAtiZE Director Console.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("link")(link)
app.command("migrate-monolith")(migrate_monolith)


def main() -> None:
    app()
