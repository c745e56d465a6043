"""`llmgw orgs`: the tenants."""

from __future__ import annotations

from typing import Annotated

import typer

from llmgw.cli import render
from llmgw.cli.options import After, ConfigPath, Json, Limit
from llmgw.cli.session import Session
from llmgw.control import orgs
from llmgw.control.page import DEFAULT_LIMIT

app = typer.Typer(no_args_is_help=True, help="Organisations: the tenants that own keys and credentials.")
Name = Annotated[str, typer.Argument(metavar="ORG", help="Organisation, by id or name.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Its name, such as acme.")],
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Create an organisation.

    Example: llmgw orgs create acme
    """
    with Session.open(config) as session:
        org = orgs.create(session.registry, name)
    if json:
        render.document(org)
    else:
        render.out.print(f"Created the organisation {render.text(org.name)} ({org.id}).")


@app.command("list")
def list_(
    after: After = None, limit: Limit = DEFAULT_LIMIT, config: ConfigPath = None, json: Json = False
) -> None:
    """List organisations in order of creation.

    Example: llmgw orgs list --json
    """
    with Session.open(config) as session:
        page = orgs.list_(session.registry, after=after, limit=limit)
    columns = {"name": "NAME", "id": "ID", "created_at": "CREATED", "suspended_at": "SUSPENDED"}
    render.listing(page, columns, as_json=json, empty="No organisation yet: llmgw orgs create NAME")


@app.command()
def show(org: Name, config: ConfigPath = None, json: Json = False) -> None:
    """Show one organisation.

    Example: llmgw orgs show acme
    """
    with Session.open(config) as session:
        found = orgs.show(session.registry, org)
    render.detail(found, as_json=json)
