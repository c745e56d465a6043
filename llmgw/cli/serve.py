"""`llmgw serve`: the gateway itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from llmgw.assembly.installation import Installation
from llmgw.cli import render
from llmgw.cli.options import ConfigPath
from llmgw.cli.session import config_path
from llmgw.config.read import load
from llmgw.config.schema import Config
from llmgw.errors import UsageError
from llmgw.server.run import run, run_workers


def serve(
    host: Annotated[str | None, typer.Option("--host", metavar="HOST", help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", min=1, help="Processes; more than one needs Postgres and Redis."
        ),
    ] = None,
    config: ConfigPath = None,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C, which drain it; SIGHUP reloads the configuration, with several
    workers by replacing one after the other.

    Example: llmgw serve --port 8080
    """
    path = config_path(config)
    loaded, faults = load(path)
    for fault in faults:
        render.err.print(f"[yellow]warning:[/yellow] {render.text(str(fault))}")
    installation = Installation(path, _overridden(loaded, host, port, workers))
    if installation.config.server.workers == 1:
        run(installation, lambda url: None)
    else:
        run_workers(installation, lambda: _read(path, host, port, workers))


def _read(path: Path, host: str | None, port: int | None, workers: int | None) -> Installation:
    loaded, _ = load(path)
    return Installation(path, _overridden(loaded, host, port, workers))


def _overridden(config: Config, host: str | None, port: int | None, workers: int | None) -> Config:
    given = {"host": host, "port": port, "workers": workers}
    changes = {field: value for field, value in given.items() if value is not None}
    if not config.store.is_cluster and changes.get("workers", 1) != 1:
        raise UsageError(
            "--workers: a SQLite store serves one process, for limits would multiply by their number; "
            "leave it out."
        )
    return msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **changes))
