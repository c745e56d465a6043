"""What a command prints: for people a table or a few lines, with --json one document on stdout."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llmgw.control.page import Page

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def document(value: object) -> None:
    """Print `value` as one JSON document."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def listing(page: Page[Any], columns: Mapping[str, str], *, as_json: bool, empty: str) -> None:
    """Print a page: `{"items", "next"}`, or a table of `columns` (heading by field name)."""
    if as_json:
        document(page)
        return
    if not page.items:
        out.print(empty)
        return
    table(columns, [msgspec.to_builtins(item, builtin_types=(datetime,)) for item in page.items])
    if page.next is not None:
        out.print(f"[dim]More follow: --after {page.next}[/dim]")


def table(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table of `columns` (heading by field name)."""
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for heading in columns.values():
        grid.add_column(heading, overflow="fold")
    for row in rows:
        grid.add_row(*(text(row[field]) for field in columns))
    out.print(grid)


def detail(value: object, *, as_json: bool) -> None:
    """Print one object: itself, or a line for each field that holds something."""
    if as_json:
        document(value)
        return
    fields: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(datetime,))
    grid = Table(box=None, show_header=False, pad_edge=False)
    for field, content in fields.items():
        if content not in (None, "", [], {}, ()):
            grid.add_row(f"[bold]{field}[/bold]", text(content))
    out.print(grid)


def text(value: object) -> str:
    """A cell: names that people chose are shown as they are, never read as markup."""
    match value:
        case None:
            return "[dim]-[/dim]"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%SZ")
        case list() | tuple():
            return escape(", ".join(str(item) for item in value))
        case dict():
            return escape(", ".join(f"{key}={item}" for key, item in value.items()))
        case _:
            return escape(str(value))
