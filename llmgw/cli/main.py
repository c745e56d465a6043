"""The `llmgw` command. Each noun has a module; here they meet, and failures become sentences and exit codes.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 configuration invalid, 4 a dependency is unreachable.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from llmgw import __version__
from llmgw.cli import (
    config,
    credentials,
    demo,
    doctor,
    flags,
    init,
    keys,
    kms,
    migrate,
    orgs,
    panic,
    render,
    route,
    serve,
    usage,
)
from llmgw.errors import OperatorError

app = typer.Typer(
    name="llmgw",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The LLM gateway that a team runs itself.",
    epilog="Start with: llmgw demo",
)
app.command("demo")(demo.demo)
app.command("init")(init.init)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
for name, group in (
    ("config", config.app),
    ("orgs", orgs.app),
    ("keys", keys.app),
    ("credentials", credentials.app),
    ("kms", kms.app),
    ("migrate", migrate.app),
    ("usage", usage.app),
    ("panic", panic.app),
    ("flags", flags.app),
    ("route", route.app),
):
    app.add_typer(group, name=name)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """The LLM gateway that a team runs itself."""


def main() -> None:
    """Run the command line; never returns."""
    try:
        app(prog_name="llmgw")
    except OperatorError as error:
        render.err.print(f"[bold red]error:[/bold red] {render.text(str(error))}")
        sys.exit(error.exit_code)
