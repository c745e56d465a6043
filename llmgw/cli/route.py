"""`llmgw route`: why calls go where they go."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.tree import Tree

from llmgw.assembly.offline import routing as routing_of
from llmgw.cli import render
from llmgw.cli.options import ConfigPath, Json
from llmgw.cli.session import Session
from llmgw.control import keys, orgs
from llmgw.dialects import body as bodies
from llmgw.errors import CallError, UsageError
from llmgw.flow.call import Call
from llmgw.flow.explain import Explanation, explain
from llmgw.rules import tags as call_tags
from llmgw.rules import trace
from llmgw.rules.access import KeyRecord
from llmgw.server import paths

app = typer.Typer(no_args_is_help=True, help="Routing: why calls go where they go.")

_ASKED = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 256}


@app.command("explain")
def explain_(
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="MODEL", help="As clients ask for it. Default: the file's."),
    ] = None,
    org: Annotated[
        str | None, typer.Option("--org", metavar="ORG", help="The caller's organisation.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="The caller's key, by id, or by name within --org."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", metavar="PATH", help="The request's body as JSON; - is stdin. Default: a short one."
        ),
    ] = None,
    path: Annotated[
        str, typer.Option("--path", metavar="PATH", help="What the request is sent to.")
    ] = "/v1/chat/completions",
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="K=V", help="A tag; repeatable.")] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", metavar="NAME:VALUE", help="A request header; repeatable.")
    ] = None,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Show the whole decision about a request: routes, policies, targets, each with its reason. Sends nothing.

    Example: llmgw route explain --model gpt-4o --org acme --file request.json
    """
    raw = _raw(file, model)
    found = paths.find("POST", path.encode(), b"", {})
    if found.refusal is not None:
        raise UsageError(found.refusal.message)
    with Session.open(config) as session:
        record = _record(session, key, org)
        routing = routing_of(session.config, session.path.parent)
    fields = _fields(header or [], tag or [])
    context = trace.begin(None, None)
    call = Call(
        time=time.time(),
        request_id="req_explained",
        trace_id=context.trace_id,
        span_id=context.span_id,
        trace=context,
        method="POST",
        dialect=found.dialect,
        endpoint=found.endpoint.name,
        operation=found.endpoint,
        received_at=time.monotonic(),
    )
    try:
        if found.model is None:
            body = bodies.read(raw, found.endpoint.types)
        else:
            body = bodies.read_nameless(raw, found.endpoint.types, found.model, found.endpoint.streams)
        tags = call_tags.of_call(record.metadata, fields.get(call_tags.HEADER))
        explanation = explain(routing, call, record, tags, fields, body)
    except CallError as error:
        raise UsageError(error.message) from error
    if json:
        render.document(explanation)
    else:
        render.out.print(_tree(explanation))


def _raw(file: Path | None, model: str | None) -> bytes:
    if file is None:
        if model is None:
            raise UsageError("Name the model: --model MODEL, or --file with a request.")
        return msgspec.json.encode({**_ASKED, "model": model})
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        if model is None:
            return raw
        body: Any = msgspec.json.decode(raw)
        return msgspec.json.encode({**body, "model": model})
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    except (msgspec.MsgspecError, TypeError) as error:
        raise UsageError(f"{file} is no JSON object: {error}") from error


def _record(session: Session, key: str | None, org: str | None) -> KeyRecord:
    """The caller: a key of the store, or any key of an organisation."""
    if key is not None:
        return keys.find(session.registry, key, org)
    known = None if org is None else orgs.find(session.registry, org)
    return KeyRecord(
        id="key_any",
        public_id="any",
        org_id="org_any" if known is None else known.id,
        org="any" if known is None else known.name,
        name="any",
        terms=(),
    )


def _fields(headers: list[str], tags: list[str]) -> dict[bytes, bytes]:
    fields = {}
    for one in headers:
        name, colon, value = one.partition(":")
        if not colon:
            raise UsageError(f"{one!r} is no header; write NAME:VALUE.")
        fields[name.strip().lower().encode()] = value.strip().encode()
    if tags:
        fields[call_tags.HEADER] = ",".join(tags).encode()
    return fields


def _tree(found: Explanation) -> Tree:
    tree = Tree(f"[bold]{escape(found.model_asked)}[/bold], about {found.input_tokens} tokens of input")
    for entry in found.panic:
        tree.add(f"[red]panic[/red] {escape(entry)}")
    routes = tree.add("routes") if found.routes else tree.add("no routes")
    for route in found.routes:
        reason = "" if route.why is None else f": {escape(route.why)}"
        mark = "[green]taken[/green]" if route.outcome == "taken" else route.outcome.replace("_", " ")
        routes.add(f"{escape(route.name)} -> {escape(route.to)}  {mark}{reason}")
    if found.policies:
        tree.add(f"violates {escape(', '.join(found.policies))}")
    if found.refused is not None:
        tree.add(f"[red]refused[/red] {escape(found.refused)}")
    sticky = ", conversations stay" if found.sticky else ""
    pool = tree.add(f"pool [bold]{escape(found.pool)}[/bold] ({found.strategy}{sticky})")
    for one in found.candidates:
        cost = "price unknown" if one.likely_cost_usd is None else f"about {one.likely_cost_usd} USD"
        place = "[dim]dropped[/dim]" if one.rank is None else f"[green]{one.rank}.[/green]"
        pool.add(f"{place} {escape(one.target)}  {escape(one.why)}; {cost}; breaker {one.breaker}")
    return tree
