"""`llmgw flags`: switches that routes hang on."""

from __future__ import annotations

import getpass
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from llmgw.cli import render
from llmgw.cli.options import ConfigPath, Json
from llmgw.cli.session import Session
from llmgw.control import flags
from llmgw.control.flags import FlagView
from llmgw.control.page import Page
from llmgw.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Flags: switches that routes hang on.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the flag, as the configuration has it.")]
Actor = Annotated[
    str | None,
    typer.Option("--actor", metavar="NAME", help="Who does it. Default: the user of this machine."),
]


@app.command("list")
def list_(config: ConfigPath = None, json: Json = False) -> None:
    """Show every flag: who has it on, who decided that, when and why.

    Example: llmgw flags list
    """
    with (
        Session.open(config) as session,
        session.backend.flags() as switch,
    ):
        found = flags.list_(switch, session.config.flags, remote=_is_remote(session))
    _show(found, as_json=json)


@app.command("set")
def set_(
    name: Name,
    state: Annotated[str, typer.Argument(metavar="on|off", help="off is off for everyone.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept.")],
    percentage: Annotated[
        float | None, typer.Option("--percentage", metavar="N", help="On for N per cent of the keys.")
    ] = None,
    org: Annotated[
        list[str] | None,
        typer.Option("--org", metavar="ORG", help="On for this organisation, by id or name; repeatable."),
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="KEY", help="On for this key, by id; repeatable.")
    ] = None,
    actor: Actor = None,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Have a flag on or off, within a second and until it is cleared; a flag that its guard turned off, too.

    Example: llmgw flags set cheap-routing on --percentage 10 --org acme --reason "first customers"
    """
    if state not in ("on", "off"):
        raise UsageError(f"{state!r} is no state; give on or off.")
    with (
        Session.open(config) as session,
        session.backend.flags() as switch,
    ):
        found = flags.set_(
            switch, session.registry, session.config.flags, name, on=state == "on", percentage=percentage,
            orgs=org or (), keys=key or (), reason=reason, actor=actor or getpass.getuser(), now=time.time(),
        )  # fmt: skip
    _show_one(found, as_json=json)


@app.command()
def clear(
    name: Name,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept.")] = "",
    actor: Actor = None,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Have a flag as the configuration, or the flag provider, has it.

    Example: llmgw flags clear cheap-routing
    """
    with (
        Session.open(config) as session,
        session.backend.flags() as switch,
    ):
        found = flags.clear(
            switch, session.config.flags, name, remote=_is_remote(session), reason=reason,
            actor=actor or getpass.getuser(), now=time.time(),
        )  # fmt: skip
    _show_one(found, as_json=json)


def _is_remote(session: Session) -> bool:
    return session.config.flag_provider.kind != "builtin"


def _show_one(found: FlagView, *, as_json: bool) -> None:
    if as_json:
        render.document(found)
    else:
        render.out.print(f"The flag {render.text(found.name)} is on for {render.text(_whom(found))}.")


def _show(found: Sequence[FlagView], *, as_json: bool) -> None:
    if as_json:
        render.document(Page(items=list(found), next=None))
        return
    if not found:
        render.out.print("There are no flags; the section flags: of the configuration makes them.")
        return
    rows = [
        {
            "name": one.name,
            "on": _whom(one),
            "by": one.changed_by if one.decided_by == "operator" else one.decided_by,
            "at": one.changed_at,
            "reason": _why(one),
        }
        for one in found
    ]
    columns = {"name": "FLAG", "on": "ON FOR", "by": "DECIDED BY", "at": "CHANGED", "reason": "REASON"}
    render.table(columns, rows)


def _why(one: FlagView) -> str | None:
    if one.changed_by is None or one.decided_by in ("operator", "guard"):
        return one.reason
    return f"cleared by {one.changed_by}" + (f": {one.reason}" if one.reason else "")


def _whom(one: FlagView) -> str:
    if one.state is None:
        return "whom the provider says"
    if one.state != "partly":
        return "everyone" if one.state == "on" else "nobody"
    share = f"{one.percentage:g} % of the keys" if one.percentage else None
    named = [f"org {org}" for org in one.orgs] + [f"key {key}" for key in one.keys]
    return ", ".join([*([share] if share else []), *named])
