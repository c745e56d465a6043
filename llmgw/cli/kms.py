"""`llmgw kms`: the keys that protect stored secrets."""

from __future__ import annotations

import typer

from llmgw.cli import render
from llmgw.cli.options import ConfigPath, Json
from llmgw.cli.session import Session
from llmgw.control import kms
from llmgw.errors import OperatorError

app = typer.Typer(no_args_is_help=True, help="The keys that protect stored secrets.")


@app.command()
def status(config: ConfigPath = None, json: Json = False) -> None:
    """Show the key-encryption keys and what each protects.

    Example: llmgw kms status
    """
    with Session.open(config) as session:
        state = kms.status(session.registry, session.kms)
    if json:
        render.document(state)
        return
    columns = {
        "term": "TERM",
        "current": "CURRENT",
        "available": "AVAILABLE",
        "data_keys": "DATA KEYS",
        "secrets": "SECRETS",
    }
    render.table(columns, [{field: getattr(term, field) for field in columns} for term in state.terms])


@app.command()
def verify(config: ConfigPath = None, json: Json = False) -> None:
    """Decrypt every data key and every secret; name each that fails, and exit 1 if any does.

    Example: llmgw kms verify
    """
    with Session.open(config) as session:
        result = kms.verify(session.registry, session.kms)
    if json:
        render.document(
            {
                "ok": result.ok,
                "data_keys": result.data_keys,
                "secrets": result.secrets,
                "faults": result.faults,
            }
        )
    else:
        for fault in result.faults:
            render.out.print(f"[red]fails[/red]  {render.text(fault.problem)}")
        render.out.print(f"Tried {result.data_keys} data keys and {result.secrets} secrets.")
    if not result.ok:
        raise OperatorError(f"{len(result.faults)} of the stored rows do not open; see the list.")
