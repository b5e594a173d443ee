"""The commands, a line each."""

import typer

app = typer.Typer(
    help="Watches, copies, repairs and fills the data of the ANIMAtiZE Director Console.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    app()
