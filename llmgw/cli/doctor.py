"""`llmgw doctor`: is everything there that a server needs, and does it work?"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from llmgw.assembly.backend import Backend, Finding, backend
from llmgw.assembly.keys import keyring_path, open_kms
from llmgw.assembly.reach import Reach, reach
from llmgw.assembly.running import readiness
from llmgw.cli import render
from llmgw.cli.options import ConfigPath, Json
from llmgw.cli.session import config_path
from llmgw.config.read import load
from llmgw.config.schema import Config, Server
from llmgw.control import kms
from llmgw.errors import OperatorError

CLOCK_LIMIT_S: Final = 60.0
"""How far the clock may be off a provider's: signed requests and expiry dates bear a minute."""


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


def _checks(path: Path, *, offline: bool) -> Iterator[Finding]:
    try:
        config, warnings = load(path)
    except OperatorError as error:
        yield Finding("config", "fault", str(error))
        return
    for warning in warnings:
        yield Finding("config", "warning", str(warning))
    if not warnings:
        yield Finding("config", "ok", f"{path} is valid")
    base = path.parent
    store = backend(config, base)
    yield from _store(store, config, base)
    yield (
        _private("config file", path)
        if _holds_secrets(config)
        else Finding("config file", "ok", "holds no secret")
    )
    yield from store.findings()
    yield from _panic(store)
    yield from _server(config.server)
    if not offline:
        yield from _providers(config)


def _store(store: Backend, config: Config, base: Path) -> Iterator[Finding]:
    try:
        status = store.migration_status()
        if status.pending:
            yield Finding(
                "store", "fault", f"{store.name} lacks {', '.join(status.pending)}; run: llmgw migrate up"
            )
            return
        with store.registry() as registry:
            yield Finding("store", "ok", f"{store.name}, schema step {status.current}")
            if store.file is not None:
                yield _private("store file", store.file)
            keys = open_kms(config, base)
            yield Finding("keyring", "ok", f"{keyring_path(config, base)}, current term {keys.current}")
            result = kms.verify(registry, keys)
    except OperatorError as error:
        yield Finding("store", "fault", str(error))
        return
    for fault in result.faults:
        yield Finding("secrets", "fault", fault.problem)
    if result.ok:
        yield Finding("secrets", "ok", f"{result.secrets} secrets and {result.data_keys} data keys open")


def _panic(store: Backend) -> Iterator[Finding]:
    try:
        entries = store.panic().read()
    except OperatorError as error:
        yield Finding("panic", "fault", str(error))
        return
    if not entries:
        yield Finding("panic", "ok", "off")
    for entry in entries:
        yield Finding(
            "panic", "warning", f"{entry.action} {entry.text} is on, by {entry.actor}: {entry.reason}"
        )


def _server(server: Server) -> Iterator[Finding]:
    """The one that runs with this configuration, and what it leaves alone just now; that none runs is no fault."""
    address = f"{server.host}:{server.port}"
    if server.port == 0:
        yield Finding("server", "ok", "takes a free port, so it is not asked")
        return
    try:
        found = readiness(server)
    except ValueError as error:
        yield Finding("server", "warning", f"{address} {error}")
        return
    if found is None:
        yield Finding("server", "ok", f"none runs at {address}")
        return
    yield Finding(
        "server", "ok" if found.status == "ready" else "warning", f"runs at {address} and is {found.status}"
    )
    if not found.breakers:
        yield Finding("breakers", "ok", "all closed")
    for name, state in found.breakers.items():
        what = "is left alone for a while" if state == "open" else "is about to be tried again"
        yield Finding("breakers", "warning", f"{name} has failed of late and {what}")


def _holds_secrets(config: Config) -> bool:
    """Whether a provider's secret came from the configuration: perhaps it stands there in the clear."""
    return any(provider.secrets for provider in config.providers.values())


def _private(name: str, path: Path) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o007:
        return Finding(
            name, "warning", f"{path} can be read by every user (mode {mode:04o}); run: chmod 600 {path}"
        )
    return Finding(name, "ok", f"{path} has mode {mode:04o}")


def _providers(config: Config) -> Iterator[Finding]:
    for name, found in reach(config).items():
        yield Finding(f"provider {name}", *_judged(found))
        if found.clock_skew_s is not None and abs(found.clock_skew_s) > CLOCK_LIMIT_S:
            yield Finding(
                "clock",
                "warning",
                f"this machine's clock is {found.clock_skew_s:+.0f} s off {name}'s; check NTP",
            )


def _judged(reach: Reach) -> tuple[Literal["ok", "fault"], str]:
    if reach.problem is not None:
        return "fault", reach.problem
    if reach.proven and reach.status in (401, 403):
        return "fault", f"answers, and refuses the configured secret ({reach.status})"
    return "ok", f"answers ({reach.status}) in {reach.wait_s * 1000:.0f} ms" if reach.status else "ok"
