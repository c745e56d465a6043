"""`llmgw credentials`: provider secrets, encrypted in the store."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from llmgw.cli import render
from llmgw.cli.options import After, ConfigPath, Json, Limit, OptionalOrg, Org
from llmgw.cli.session import Session
from llmgw.control import credentials
from llmgw.control.page import DEFAULT_LIMIT
from llmgw.errors import OperatorError, UsageError
from llmgw.secret import Secret

app = typer.Typer(no_args_is_help=True, help="Provider secrets, encrypted in the store.")

Credential = Annotated[
    str, typer.Argument(metavar="NAME", help="Credential, by id, or by name within --org.")
]


@app.command("set")
def set_(
    name: Annotated[str, typer.Argument(help="Its name, as 'credential:' in the configuration gives it.")],
    org: Org,
    from_env: Annotated[
        str | None, typer.Option("--from-env", metavar="VAR", help="Read the secret from this variable.")
    ] = None,
    from_file: Annotated[
        Path | None, typer.Option("--from-file", metavar="PATH", help="Read the secret from this file.")
    ] = None,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Store a provider's secret, read from stdin, a variable or a file; never given as an argument.

    Example: printf %s "$OPENAI_API_KEY" | llmgw credentials set openai --org acme
    """
    secret = _read_secret(from_env, from_file)
    with Session.open(config) as session:
        stored = credentials.set_(session.registry, session.kms, org=org, name=name, secret=secret)
    if json:
        render.document(stored)
    else:
        render.out.print(f"Stored the credential {render.text(stored.name)} ({stored.id}), encrypted.")


@app.command("list")
def list_(
    org: OptionalOrg = None,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """List credentials; never a secret.

    Example: llmgw credentials list --org acme
    """
    with Session.open(config) as session:
        page = credentials.list_(session.registry, org=org, after=after, limit=limit)
    columns = {
        "name": "NAME",
        "id": "ID",
        "org_id": "ORG",
        "data_key_term": "DATA KEY",
        "created_at": "CREATED",
        "updated_at": "UPDATED",
    }
    empty = "No credential yet: llmgw credentials set NAME --org ORG"
    render.listing(page, columns, as_json=json, empty=empty)


@app.command()
def verify(
    credential: Credential, org: OptionalOrg = None, config: ConfigPath = None, json: Json = False
) -> None:
    """Decrypt a credential and say whether that worked; exit 1 if not.

    Example: llmgw credentials verify openai --org acme
    """
    with Session.open(config) as session:
        state = credentials.verify(session.registry, session.kms, credential, org=org)
    if json:
        render.document(state)
    elif state.ok:
        render.out.print(f"The credential {render.text(state.name)} ({state.id}) opens.")
    if not state.ok:
        raise OperatorError(state.problem or "The credential does not open.")


@app.command()
def delete(
    credential: Credential, org: OptionalOrg = None, config: ConfigPath = None, json: Json = False
) -> None:
    """Remove a credential for good.

    Example: llmgw credentials delete openai --org acme
    """
    with Session.open(config) as session:
        deleted = credentials.delete(session.registry, credential, org=org)
    if json:
        render.document(deleted)
    else:
        render.out.print(f"Deleted the credential {render.text(deleted.name)} ({deleted.id}).")


def _read_secret(from_env: str | None, from_file: Path | None) -> Secret:
    if from_env is not None and from_file is not None:
        raise UsageError("Give --from-env or --from-file, not both.")
    if from_env is not None:
        if from_env not in os.environ:
            raise UsageError(f"The environment variable {from_env} is not set.")
        return Secret(os.environ[from_env])
    if from_file is not None:
        try:
            return Secret(from_file.read_bytes()[: 2 * credentials.SIZE_LIMIT].decode())
        except OSError as error:
            raise OperatorError(f"Cannot read {from_file}: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{from_file} is not a text file; it should hold the secret alone.") from error
    if sys.stdin.isatty():
        return Secret(typer.prompt("Secret", hide_input=True))
    try:
        return Secret(sys.stdin.buffer.read(2 * credentials.SIZE_LIMIT).decode())
    except UnicodeDecodeError as error:
        raise UsageError("The secret on stdin is not text.") from error
