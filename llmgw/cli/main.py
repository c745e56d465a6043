"""The `llmgw` command. Each noun has a module; here they meet, and failures become sentences and exit codes.

A noun's module is imported when it is asked for: most of a command's time is imports, and `keys create` needs neither
a server nor the providers.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 configuration invalid, 4 a dependency is unreachable.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from llmgw import __version__
from llmgw.errors import OperatorError

COMMANDS: Final = ("demo", "init", "serve", "doctor")
"""A module with a function of its name each."""
GROUPS: Final = (
    "config", "orgs", "keys", "credentials", "kms", "migrate", "usage", "panic", "flags", "route",
)  # fmt: skip
"""A module with an `app` each."""


class Nouns(TyperGroup):
    """All of them, each imported when it is first looked at."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS, *GROUPS]

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | TyperGroup | None:
        names = self.list_commands(ctx)
        # What is misspelt is compared with all there is.
        for name in [cmd_name] if cmd_name in names else names:
            if name not in self.commands:
                self.commands[name] = _load(name)
        found = self.commands.get(cmd_name)
        assert found is None or isinstance(found, TyperCommand | TyperGroup)
        return found


def _load(name: str) -> TyperCommand | TyperGroup:
    module = import_module(f"llmgw.cli.{name}")
    made: TyperCommand | TyperGroup
    if name in GROUPS:
        made = typer.main.get_group(module.app)
    else:
        alone = typer.Typer()
        alone.command()(getattr(module, name))
        command = typer.main.get_command(alone)
        assert isinstance(command, TyperCommand)
        made = command
    made.name = name
    return made


app = typer.Typer(
    name="llmgw",
    cls=Nouns,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The LLM gateway that a team runs itself.",
    epilog="Start with: llmgw demo",
)


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
        from llmgw.cli import render

        render.err.print(f"[bold red]error:[/bold red] {render.text(str(error))}")
        sys.exit(error.exit_code)
