"""`llmgw panic`: the hand on the brake."""

from __future__ import annotations

import getpass
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from llmgw.assembly.backend import backend
from llmgw.cli import render
from llmgw.cli.options import ConfigPath, Json
from llmgw.cli.session import config_path
from llmgw.config import units
from llmgw.config.read import load, load_part
from llmgw.config.schema import Config, Server
from llmgw.control import panic
from llmgw.errors import ConfigInvalid, UsageError
from llmgw.rules.panic import Action, Entry

app = typer.Typer(
    no_args_is_help=True, help="The switch for the worst day: stop calls, or everything clever."
)

ASK_S = 1.0
"""How long a running server is waited for."""

Scope = Annotated[
    str | None,
    typer.Option("--scope", metavar="SCOPE", help="all, org:NAME, provider:NAME, model:NAME or key:ID."),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; told to clients, and kept.")]
Actor = Annotated[
    str | None,
    typer.Option("--actor", metavar="NAME", help="Who does it. Default: the user of this machine."),
]


@app.command("on")
def on_(
    reason: Reason,
    action: Annotated[
        str,
        typer.Option(
            "--action",
            help="block: refuse calls. passthrough: no routes, cascades, hedges or flags; the model as asked.",
        ),
    ] = "block",
    scope: Scope = None,
    actor: Actor = None,
    retry_after: Annotated[
        str, typer.Option("--retry-after", metavar="TIME", help="When clients may try again.")
    ] = "60s",
    cut: Annotated[bool, typer.Option("--cut", help="Cut streams that are under way, too.")] = False,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Turn panic on: within a second, for every process, also while the store is down.

    Example: llmgw panic on --action block --scope provider:openai --reason "leaked key"
    """
    if action not in ("block", "passthrough"):
        raise UsageError(f"{action!r} is no action; give block or passthrough.")
    chosen: Action = "block" if action == "block" else "passthrough"
    retry_after_s = units.seconds(retry_after)
    if retry_after_s is None:
        raise UsageError(f"{retry_after!r} is no time; write 30s or 5m.")
    path, settings = _settings(config)
    _warn_of_typos(scope or "all", settings)
    entries = panic.on(
        backend(settings, path.parent).panic(), scope or "all", chosen,
        reason=reason, actor=actor or getpass.getuser(), now=time.time(), retry_after_s=retry_after_s, cut=cut,
    )  # fmt: skip
    _show(entries, None, as_json=json)


@app.command("off")
def off_(
    scope: Scope = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept.")] = "",
    actor: Actor = None,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Turn panic off: one scope, or without --scope everything.

    Example: llmgw panic off --scope provider:openai --reason "key replaced"
    """
    path, settings = _settings(config)
    switch = backend(settings, path.parent).panic()
    entries = panic.off(switch, scope, reason=reason, actor=actor or getpass.getuser())
    _show(entries, None, as_json=json)


@app.command()
def status(config: ConfigPath = None, json: Json = False) -> None:
    """Show what is on, since when, by whom, and what the running server has refused for it.

    Example: llmgw panic status
    """
    path, settings = _settings(config)
    entries = backend(settings, path.parent).panic().read()
    refused = _refused(settings.server) if entries else None
    _show(entries, refused, as_json=json)


def _settings(given: Path | None) -> tuple[Path, Config]:
    """The configuration; where it has errors, as much of it as says where the switch and the server are."""
    path = config_path(given)
    try:
        return path, load(path)[0]
    except ConfigInvalid:
        settings = load_part(path, ("store", "server"))
    render.err.print(
        f"{path} has errors ('llmgw config validate' lists them); only its store and server are read."
    )
    return path, settings


def _warn_of_typos(scope: str, settings: Config) -> None:
    """A provider can be told from a misspelt one without a store; it is turned on all the same."""
    kind, _, name = scope.partition(":")
    if kind == "provider" and settings.providers and name not in settings.providers:
        known = ", ".join(sorted(settings.providers))
        render.err.print(
            f"[bold]warning:[/bold] no provider is named {render.text(name)!r}; there are: {known}."
        )


def _refused(server: Server) -> dict[str, int] | None:
    """By scope, as the server of this configuration says it; None where none answers."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(server.host, server.host)  # noqa: S104 - compared with
    try:
        answer = httpx.get(f"http://{host}:{server.port}/health/readiness", timeout=ASK_S, trust_env=False)
        found: Any = answer.json()["panic"]
        return {one["scope"]: int(one["refused"]) for one in found}
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None


def _show(entries: Sequence[Entry], refused: dict[str, int] | None, *, as_json: bool) -> None:
    rows = [
        {
            "scope": entry.text,
            "action": entry.action,
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.since)),
            "by": entry.actor,
            "reason": entry.reason,
            "refused": None if refused is None else refused.get(entry.text, 0),
        }
        for entry in entries
    ]
    if as_json:
        render.document({"on": bool(rows), "items": rows, "next": None})
    elif not rows:
        render.out.print("Panic is off.")
    else:
        columns = {"scope": "SCOPE", "action": "ACTION", "since": "SINCE", "by": "BY", "reason": "REASON"}
        if refused is not None:
            columns["refused"] = "REFUSED"
        render.table(columns, rows)
