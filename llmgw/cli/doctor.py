"""`llmgw doctor`: is everything there that a server needs, and does it work?"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from msgspec import Struct

from llmgw import assembly
from llmgw.assembly import Reach
from llmgw.cli import render
from llmgw.cli.options import ConfigPath, Json
from llmgw.cli.session import config_path
from llmgw.config.read import load
from llmgw.config.schema import Config, Server
from llmgw.control import kms
from llmgw.errors import OperatorError

State = Literal["ok", "warning", "fault"]

CLOCK_LIMIT_S: Final = 60.0
"""How far the clock may be off a provider's: signed requests and expiry dates bear a minute."""


class Check(Struct, frozen=True):
    """One thing looked at; `message` says what was found and, where it is not well, what to do."""

    name: str
    state: State
    message: str


def doctor(
    config: ConfigPath = None,
    json: Json = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the providers.")] = False,
) -> None:
    """Check the configuration, store, keys, file modes, providers and clock; exit 1 on a fault.

    Example: llmgw doctor
    """
    checks = list(_checks(config_path(config), offline=offline))
    faults = [check for check in checks if check.state == "fault"]
    if json:
        render.document({"ok": not faults, "checks": checks})
    else:
        colours = {"ok": "green", "warning": "yellow", "fault": "red"}
        for check in checks:
            state = f"[{colours[check.state]}]{check.state:8}[/{colours[check.state]}]"
            render.out.print(f"{state} {check.name:12} {render.text(check.message)}")
    if faults:
        raise OperatorError(f"{len(faults)} of {len(checks)} checks found a fault.")


def _checks(path: Path, *, offline: bool) -> Iterator[Check]:
    try:
        config, warnings = load(path)
    except OperatorError as error:
        yield Check("config", "fault", str(error))
        return
    for warning in warnings:
        yield Check("config", "warning", str(warning))
    if not warnings:
        yield Check("config", "ok", f"{path} is valid")
    base = path.parent
    yield from _store(config, base)
    yield (
        _private("config file", path)
        if _holds_secrets(config)
        else Check("config file", "ok", "holds no secret")
    )
    yield Check(
        "limits",
        "ok",
        "limits and budgets are counted in the memory of the one process; the ledger is in the store",
    )
    yield from _panic(config, base)
    yield from _server(config.server)
    if not offline:
        yield from _providers(config)


def _store(config: Config, base: Path) -> Iterator[Check]:
    store = assembly.store_path(config, base)
    try:
        status = assembly.migration_status(config, base)
        if status.pending:
            yield Check("store", "fault", f"{store} lacks {', '.join(status.pending)}; run: llmgw migrate up")
            return
        with assembly.open_registry(config, base) as registry:
            yield Check("store", "ok", f"SQLite at {store}, schema step {status.current}")
            yield _private("store file", store)
            keys = assembly.open_kms(config, base)
            yield Check(
                "keyring", "ok", f"{assembly.keyring_path(config, base)}, current term {keys.current}"
            )
            result = kms.verify(registry, keys)
    except OperatorError as error:
        yield Check("store", "fault", str(error))
        return
    for fault in result.faults:
        yield Check("secrets", "fault", fault.problem)
    if result.ok:
        yield Check("secrets", "ok", f"{result.secrets} secrets and {result.data_keys} data keys open")


def _panic(config: Config, base: Path) -> Iterator[Check]:
    try:
        entries = assembly.open_panic(config, base).read()
    except OperatorError as error:
        yield Check("panic", "fault", str(error))
        return
    if not entries:
        yield Check("panic", "ok", "off")
    for entry in entries:
        yield Check(
            "panic", "warning", f"{entry.action} {entry.text} is on, by {entry.actor}: {entry.reason}"
        )


def _server(server: Server) -> Iterator[Check]:
    """The one that runs with this configuration, and what it leaves alone just now; that none runs is no fault."""
    address = f"{server.host}:{server.port}"
    if server.port == 0:
        yield Check("server", "ok", "takes a free port, so it is not asked")
        return
    try:
        found = assembly.readiness(server)
    except ValueError as error:
        yield Check("server", "warning", f"{address} {error}")
        return
    if found is None:
        yield Check("server", "ok", f"none runs at {address}")
        return
    yield Check(
        "server", "ok" if found.status == "ready" else "warning", f"runs at {address} and is {found.status}"
    )
    if not found.breakers:
        yield Check("breakers", "ok", "all closed")
    for name, state in found.breakers.items():
        what = "is left alone for a while" if state == "open" else "is about to be tried again"
        yield Check("breakers", "warning", f"{name} has failed of late and {what}")


def _holds_secrets(config: Config) -> bool:
    """Whether a provider's secret came from the configuration: perhaps it stands there in the clear."""
    return any(provider.secrets for provider in config.providers.values())


def _private(name: str, path: Path) -> Check:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o007:
        return Check(
            name, "warning", f"{path} can be read by every user (mode {mode:04o}); run: chmod 600 {path}"
        )
    return Check(name, "ok", f"{path} has mode {mode:04o}")


def _providers(config: Config) -> Iterator[Check]:
    for name, reach in assembly.reach(config).items():
        yield Check(f"provider {name}", *_judged(reach))
        if reach.clock_skew_s is not None and abs(reach.clock_skew_s) > CLOCK_LIMIT_S:
            yield Check(
                "clock",
                "warning",
                f"this machine's clock is {reach.clock_skew_s:+.0f} s off {name}'s; check NTP",
            )


def _judged(reach: Reach) -> tuple[State, str]:
    if reach.problem is not None:
        return "fault", reach.problem
    if reach.proven and reach.status in (401, 403):
        return "fault", f"answers, and refuses the configured secret ({reach.status})"
    return "ok", f"answers ({reach.status}) in {reach.wait_s * 1000:.0f} ms" if reach.status else "ok"
