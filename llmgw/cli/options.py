"""Options that many commands share, so that each is spelled and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="PATH",
        help="Configuration file. Default: $LLMGW_CONFIG, then ./llmgw.yaml.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Org = Annotated[str, typer.Option("--org", metavar="ORG", help="Organisation, by id or name.")]
OptionalOrg = Annotated[
    str | None,
    typer.Option(
        "--org", metavar="ORG", help="Organisation, by id or name; needed to name an object by name."
    ),
]
After = Annotated[
    str | None,
    typer.Option("--after", metavar="CURSOR", help="Begin behind this cursor ('next' of the last page)."),
]
Limit = Annotated[int, typer.Option("--limit", metavar="N", help="Items on a page, 1 to 1000.")]
