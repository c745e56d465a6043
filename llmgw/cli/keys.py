"""`llmgw keys`: virtual keys, which applications call the gateway with."""

from __future__ import annotations

from typing import Annotated

import typer
from msgspec import UNSET, UnsetType

from llmgw.cli import render
from llmgw.cli.options import After, ConfigPath, Json, Limit, OptionalOrg, Org
from llmgw.cli.session import Session
from llmgw.control import keys
from llmgw.control.keys import NewKey
from llmgw.control.page import DEFAULT_LIMIT
from llmgw.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Virtual keys: what applications call the gateway with.")

Key = Annotated[str, typer.Argument(metavar="KEY", help="Key, by id, or by name within --org.")]
Rpm = Annotated[int | None, typer.Option("--rpm", metavar="N", help="Requests a minute.")]
Tpm = Annotated[int | None, typer.Option("--tpm", metavar="N", help="Tokens a minute.")]
Parallel = Annotated[int | None, typer.Option("--max-parallel", metavar="N", help="Calls at a time.")]
Budget = Annotated[
    str | None, typer.Option("--budget", metavar="USD/PERIOD", help="Such as 25/month or 1.50/day.")
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", metavar="GLOB", help="A model it may use, such as 'gpt-4o*'; repeatable. Default: all."
    ),
]
Expires = Annotated[
    str | None,
    typer.Option("--expires", metavar="WHEN", help="A span such as 90d, or a date such as 2027-01-31."),
]
Metadata = Annotated[
    list[str] | None, typer.Option("--metadata", metavar="K=V", help="A note on the key; repeatable.")
]


@app.command()
def create(
    org: Org,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the key is for.")],
    rpm: Rpm = None,
    tpm: Tpm = None,
    max_parallel: Parallel = None,
    budget: Budget = None,
    model: Models = None,
    expires: Expires = None,
    metadata: Metadata = None,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Create a key; it is printed once and cannot be shown again.

    Example: llmgw keys create --org acme --name chatbot --model 'gpt-4o*' --expires 90d
    """
    with Session.open(config) as session:
        key = keys.create(
            session.registry,
            org=org,
            name=name,
            rpm=rpm,
            tpm=tpm,
            max_parallel=max_parallel,
            budget=budget,
            models=model or (),
            expires=expires,
            metadata=_pairs(metadata or []),
        )
    _show_new(key, json=json)


@app.command("list")
def list_(
    org: OptionalOrg = None,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """List keys in order of creation, revoked ones too.

    Example: llmgw keys list --org acme
    """
    with Session.open(config) as session:
        page = keys.list_(session.registry, org=org, after=after, limit=limit)
    columns = {
        "name": "NAME",
        "org": "ORG",
        "id": "ID",
        "models": "MODELS",
        "created_at": "CREATED",
        "expires_at": "EXPIRES",
        "revoked_at": "REVOKED",
    }
    empty = "No key yet: llmgw keys create --org ORG --name NAME"
    render.listing(page, columns, as_json=json, empty=empty)


@app.command()
def show(key: Key, org: OptionalOrg = None, config: ConfigPath = None, json: Json = False) -> None:
    """Show one key, without its secret.

    Example: llmgw keys show chatbot --org acme
    """
    with Session.open(config) as session:
        found = keys.show(session.registry, key, org=org)
    render.detail(found, as_json=json)


@app.command()
def update(
    key: Key,
    org: OptionalOrg = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="A new name.")] = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    max_parallel: Parallel = None,
    budget: Budget = None,
    model: Models = None,
    expires: Expires = None,
    metadata: Metadata = None,
    clear: Annotated[
        list[str] | None,
        typer.Option("--clear", metavar="FIELD", help="Remove a limit, such as rpm or expires; repeatable."),
    ] = None,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Change what is given; everything else stays.

    Example: llmgw keys update chatbot --org acme --rpm 300 --clear expires
    """
    given: dict[str, object] = {
        "name": name,
        "rpm": rpm,
        "tpm": tpm,
        "max_parallel": max_parallel,
        "budget": budget,
        "models": model,
        "expires": expires,
        "metadata": None if metadata is None else _pairs(metadata),
    }
    changes: dict[str, object | UnsetType] = {
        field: value for field, value in given.items() if value is not None
    }
    for field in clear or []:
        changes[_clearable(field)] = _EMPTY.get(_clearable(field))
    if not changes:
        raise UsageError("Nothing to change: give at least one option, such as --rpm 300 or --clear expires.")
    arguments = {field: changes.get(field, UNSET) for field in given}
    with Session.open(config) as session:
        changed = keys.update(session.registry, key, org=org, **arguments)  # type: ignore[arg-type]  # by name
    render.detail(changed, as_json=json)


@app.command()
def rotate(
    key: Key,
    org: OptionalOrg = None,
    grace: Annotated[
        str | None,
        typer.Option(
            "--grace", metavar="SPAN", help="How long the old secret works on, such as 24h. Default: not."
        ),
    ] = None,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Give the key a new secret; it is printed once.

    Example: llmgw keys rotate chatbot --org acme --grace 24h
    """
    with Session.open(config) as session:
        new = keys.rotate(session.registry, key, org=org, grace=grace)
    _show_new(new, json=json)


@app.command()
def revoke(key: Key, org: OptionalOrg = None, config: ConfigPath = None, json: Json = False) -> None:
    """End a key for good; running servers refuse it within a second.

    Example: llmgw keys revoke chatbot --org acme
    """
    with Session.open(config) as session:
        revoked = keys.revoke(session.registry, key, org=org)
    if json:
        render.document(revoked)
    else:
        render.out.print(f"Revoked the key {render.text(revoked.name)} ({revoked.id}).")


_EMPTY: dict[str, object] = {"models": (), "metadata": {}}
_CLEARABLE = ("rpm", "tpm", "max-parallel", "budget", "model", "expires", "metadata")


def _clearable(field: str) -> str:
    if field not in _CLEARABLE:
        raise UsageError(f"--clear takes one of {', '.join(_CLEARABLE)}, not {field!r}.")
    return {"max-parallel": "max_parallel", "model": "models"}.get(field, field)


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for pair in texts:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--metadata takes KEY=VALUE, not {pair!r}.")
        if key in pairs:
            raise UsageError(f"--metadata names {key!r} twice.")
        pairs[key] = value
    return pairs


def _show_new(key: NewKey, *, json: bool) -> None:
    if json:
        shown = {field: getattr(key, field) for field in key.__struct_fields__}
        render.document({**shown, "key": key.key.reveal()})
        return
    render.out.print(f"[bold]{key.key.reveal()}[/bold]", markup=True)
    render.err.print(
        f"The key {render.text(key.name)} ({key.id}) of {render.text(key.org)}. Keep it now: it is not shown again."
    )
