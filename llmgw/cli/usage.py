"""`llmgw usage`: what was used and what it cost."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from llmgw.cli import render
from llmgw.cli.options import ConfigPath, Json
from llmgw.cli.session import Session
from llmgw.control import usage
from llmgw.control.usage import DIMENSIONS, Buckets, UsageReport
from llmgw.errors import UsageError
from llmgw.ports import Reports

app = typer.Typer(no_args_is_help=True, help="Usage: what was used, and what it cost.")

Org = Annotated[
    str | None, typer.Option("--org", metavar="ORG", help="Only this organisation, by id or name.")
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="WHEN", help="From when: a span back such as 7d, or a date such as 2026-11-01."
    ),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="WHEN", help="Up to when; a date means its beginning (UTC).")
]


@app.command()
def report(
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by", metavar="WHAT", help=f"Group by {', '.join(DIMENSIONS)}; repeatable. Default: org."
        ),
    ] = None,
    org: Org = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="Only this key, by id, or by name within --org."),
    ] = None,
    since: Since = None,
    until: Until = None,
    savings: Annotated[
        bool,
        typer.Option("--savings", help="What routes have saved, and what those in shadow would have saved."),
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Requests, tokens and cost, added up.

    Example: llmgw usage report --by org --by model --since 30d
    """
    if json and as_csv:
        raise UsageError("A report is printed with --json or with --csv, not with both.")
    with _opened(config) as (session, reports):
        found = usage.report(
            reports,
            session.registry,
            by=by or ("org",),
            org=org,
            key=key,
            since=since,
            until=until,
            savings=savings,
        )
    if json:
        render.document(found)
    elif as_csv:
        _csv(found)
    else:
        _table(found)


@app.command()
def export(
    org: Org = None,
    since: Since = None,
    until: Until = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="ID", help="Go on behind the last call that was read.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", help="At most so many calls.")] = None,
    config: ConfigPath = None,
) -> None:
    """Print every call of the ledger, one JSON object a line, in the order in which they ended.

    Example: llmgw usage export --since 2026-11-01 > november.ndjson
    """
    encode = msgspec.json.Encoder().encode
    with _opened(config) as (session, reports), _reader_may_leave():
        for entry in usage.export(
            reports, session.registry, org=org, since=since, until=until, after=after, limit=limit
        ):
            sys.stdout.buffer.write(encode(entry) + b"\n")
        sys.stdout.buffer.flush()


@app.command()
def rebuild(config: ConfigPath = None, json: Json = False) -> None:
    """Add up reports and counters anew from the ledger's rows, and say which sums were wrong.

    Example: llmgw usage rebuild
    """
    with _opened(config) as (_, reports):
        found = usage.rebuild(reports)
    if json:
        render.document(found)
    elif found == usage.Rebuilt(usage=0, tags=0, scopes=0):
        render.out.print("Every sum was right.")
    else:
        render.out.print(
            f"Corrected {found.usage} sums of reports, {found.tags} of tags and {found.scopes} of limits and "
            "budgets. A running server's counters take them with its next start."
        )


@contextmanager
def _opened(config: Path | None) -> Iterator[tuple[Session, Reports]]:
    with (
        Session.open(config) as session,
        session.backend.reports() as reports,
    ):
        yield session, reports


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """A reader that has read enough (`| head`) is no failure."""
    try:
        yield
    except BrokenPipeError:
        # What is buffered has nowhere to go, also when Python flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_TOKENS = {
    "in": ("input", "input_audio", "cache_write_5m", "cache_write_1h"),
    "cached": ("cache_read",),
    "out": ("output", "reasoning", "output_audio"),
}
"""What people ask for, of disjoint buckets."""


def _table(found: UsageReport) -> None:
    if not found.total["requests"]:
        render.out.print("No call yet in that time.")
        return
    groups = [name for name in found.items[0] if name not in found.total]
    shown = [
        name for name in groups if name.removesuffix("_id") == name or name.removesuffix("_id") not in groups
    ]
    columns = {name: name.upper().replace("_", " ") for name in shown}
    columns |= {"requests": "REQUESTS"}
    if "saved_usd" in found.total:
        # Both together are wider than a terminal.
        columns |= {"cost_usd": "COST USD", "routed": "ROUTED", "saved_usd": "SAVED"}
        columns |= {"shadowed": "SHADOWED", "shadow_saved_usd": "WOULD SAVE"}
    else:
        columns |= {"in": "IN", "cached": "CACHED", "out": "OUT", "cost_usd": "COST USD"}
    columns |= {"unpriced": "UNPRICED"}
    total = {**dict.fromkeys(shown, ""), shown[0]: "total", **_row(found.total)}
    render.table(columns, [*map(_row, found.items), total])


def _row(item: dict[str, Any]) -> dict[str, Any]:
    buckets: dict[str, int | None] = msgspec.structs.asdict(item["usage"])
    row = dict(item)
    for name, parts in _TOKENS.items():
        known = [count for part in parts if isinstance(count := buckets[part], int)]
        row[name] = sum(known) if known else None
    return row


def _csv(found: UsageReport) -> None:
    groups = [name for name in (found.items[0] if found.items else {}) if name not in found.total]
    sums = [name for name in found.total if name != "usage"]
    buckets = Buckets.__struct_fields__
    with _reader_may_leave():
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([*groups, "requests", *buckets, *sums[1:]])
        for item in found.items:
            counts: dict[str, Any] = msgspec.to_builtins(item["usage"])
            writer.writerow(
                [
                    *(item[name] for name in groups),
                    item["requests"],
                    *(counts.get(name) for name in buckets),
                    *(item[name] for name in sums[1:]),
                ]
            )
        sys.stdout.flush()
