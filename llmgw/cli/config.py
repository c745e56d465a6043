"""`llmgw config`: the configuration file, checked and shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from llmgw.cli import render
from llmgw.cli.options import ConfigPath, Json
from llmgw.cli.session import Session, config_path
from llmgw.config import read
from llmgw.config.show import dump, json_schema
from llmgw.errors import ConfigInvalid

app = typer.Typer(no_args_is_help=True, help="The configuration file, checked and shown.")


@app.command()
def validate(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Default: as --config.")] = None,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Check a file and list every fault with its line; exit 3 where there is an error.

    Example: llmgw config validate llmgw.yaml
    """
    path = file or config_path(config)
    faults = read.check(path)
    errors = [fault for fault in faults if fault.severity == "error"]
    if json:
        render.document({"ok": not errors, "file": str(path), "faults": faults})
    else:
        for fault in faults:
            colour = "red" if fault.severity == "error" else "yellow"
            render.out.print(f"[{colour}]{fault.severity}[/{colour}] {render.text(f'{path}:{fault}')}")
        if not faults:
            render.out.print(f"{path} is valid.")
    if errors:
        raise ConfigInvalid(f"{path} has {len(errors)} error{'s' if len(errors) > 1 else ''}.")


@app.command()
def show(config: ConfigPath = None, json: Json = False) -> None:
    """Show the effective configuration: defaults filled in, secrets redacted.

    Example: llmgw config show
    """
    shown = dump(Session.open(config).config)
    if json:
        render.document(shown)
    else:
        render.out.print(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True), markup=False, end="")


@app.command()
def schema(json: Json = False) -> None:
    """Print the JSON Schema of the file, for editors.

    Example: llmgw config schema > llmgw.schema.json
    """
    render.document(json_schema())
