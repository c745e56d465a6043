"""`llmgw migrate`: the schema of the store."""

from __future__ import annotations

import typer

from llmgw.cli import render
from llmgw.cli.options import ConfigPath, Json
from llmgw.cli.session import Session
from llmgw.errors import OperatorError

app = typer.Typer(no_args_is_help=True, help="The schema of the store.")


@app.command()
def up(config: ConfigPath = None, json: Json = False) -> None:
    """Bring the store's schema to this version's; creates the store where there is none.

    Example: llmgw migrate up
    """
    session = Session.open(config)
    applied = session.backend.migrate()
    if json:
        render.document({"applied": applied})
    elif applied:
        render.out.print("Applied: " + ", ".join(render.text(step.name) for step in applied) + ".")
    else:
        render.out.print("The schema is up to date.")


@app.command()
def status(config: ConfigPath = None, json: Json = False) -> None:
    """Show which steps the store's schema has taken and which are to come.

    Example: llmgw migrate status
    """
    session = Session.open(config)
    found = session.backend.migration_status()
    if json:
        render.document(found)
        return
    for step in found.applied:
        render.out.print(
            f"{step.number:4}  {render.text(step.name)}  [dim]{render.text(step.applied_at)}[/dim]"
        )
    for name in found.pending:
        render.out.print(f"   -  {render.text(name)}  [yellow]pending: llmgw migrate up[/yellow]")


@app.command()
def check(config: ConfigPath = None, json: Json = False) -> None:
    """Look whether the steps can be taken while gateways of this release and the one before work; exit 1 if not.

    Example: llmgw migrate check
    """
    faults = Session.open(config).backend.migration_faults()
    if json:
        render.document({"ok": not faults, "faults": faults})
    else:
        for fault in faults:
            render.out.print(
                f"{fault.file}:{fault.line}: {render.text(fault.message)} [dim]{fault.rule}[/dim]"
            )
        if not faults:
            render.out.print("Every step can be taken while gateways work.")
    if faults:
        raise OperatorError(f"{len(faults)} statements would hold up gateways or break the release before.")
