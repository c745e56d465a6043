"""`llmgw init`: everything a new installation needs, in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from llmgw.assembly.backend import backend
from llmgw.assembly.keys import create_kms, keyring_path, open_kms
from llmgw.cli import render
from llmgw.cli.options import ConfigPath, Json
from llmgw.config.read import load
from llmgw.control import install
from llmgw.errors import OperatorError

STARTER: Final = """\
# llmgw configuration; `llmgw config validate` checks it, `llmgw config schema` describes every key.
version: 1
server: {host: 127.0.0.1, port: 8080}
store: {url: "sqlite:///llmgw.db"}
kms: {provider: local, keyring: ./llmgw.keyring}

providers:
  # A provider inside llmgw that answers without network, to try things with.
  simulator: {dialect: simulator}
  # openai: {dialect: openai, api_key: "${OPENAI_API_KEY}"}
  # anthropic: {dialect: anthropic, api_key: "${ANTHROPIC_API_KEY}"}

models:
  # The names that applications ask for; `provider/model` works too.
  demo: {targets: [simulator/demo]}
  # gpt-4o: {targets: [openai/gpt-4o]}
"""


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where it lives.")] = Path(),
    org: Annotated[
        str | None, typer.Option("--org", metavar="NAME", help="The first organisation. Default: default.")
    ] = None,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Make an installation: llmgw.yaml, a keyring, the store, an organisation and its owner's token.

    Run again, it keeps what is there and makes what is missing. The token is printed once.

    Example: llmgw init ./gateway --org acme
    """
    path = config or directory / "llmgw.yaml"
    made = [str(path)] if _write_starter(path) else []
    loaded, _ = load(path)
    base = path.parent
    store = backend(loaded, base)
    if store.create():
        made.append(str(store.file))
    keyring = keyring_path(loaded, base)
    with store.registry() as registry:
        if not keyring.exists():
            install.require_nothing_sealed(registry)
        if create_kms(loaded, base):
            made.append(str(keyring))
        open_kms(loaded, base)  # one that others can read is told of now
        installed = install.init(registry, org=org)
    token = None if installed.token is None else installed.token.reveal()
    if json:
        render.document(
            {"org": installed.org.name, "token": token, "config": str(path), "keyring": str(keyring)}
        )
        return
    for file in made:
        render.out.print(f"Wrote {file}.")
    name = render.text(installed.org.name)
    if token is None:
        render.out.print(f"The organisation {name} and its owner's token are there already, and kept.")
    else:
        render.out.print(
            f"The owner's token of {name}; keep it now, it is not shown again:\n[bold]{token}[/bold]"
        )
    where = "" if path == Path("llmgw.yaml") else f" -c {path}"
    render.out.print(
        f"Next:  llmgw keys create{where} --org {name} --name first\n       llmgw serve{where}",
        soft_wrap=True,
    )


def _write_starter(path: Path) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(STARTER)
    except FileExistsError:
        return False
    except OSError as error:
        raise OperatorError(f"Cannot write {path}: {error.strerror}.") from error
    return True
