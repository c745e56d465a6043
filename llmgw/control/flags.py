"""Flags for operators: what the configuration has, what was said in its place, by whom and why.

What is said is kept beside the configuration and goes before it, also before a flag provider's word, until it is
cleared. A guard speaks in the same way; only an operator takes that back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from llmgw.config.faults import nearest
from llmgw.config.flags import Flag
from llmgw.control import keys as virtual_keys
from llmgw.control import orgs as organisations
from llmgw.control.times import moment
from llmgw.errors import NotFound, UsageError
from llmgw.ports import FlagSwitch, Registry
from llmgw.rules.flags import By, Change, Definition, of_change, of_config

State = Literal["on", "off", "partly"]


class FlagView(Struct, frozen=True, kw_only=True):
    """A flag as operators see it. `changed_*`: what was said of it last, also where that was to clear it."""

    name: str
    state: State | None
    """Null where a flag provider decides."""
    decided_by: Literal["configuration", "provider"] | By
    percentage: float
    orgs: tuple[str, ...]
    keys: tuple[str, ...]
    default: bool | None
    """Null for a name that the configuration does not have any more."""
    guarded: bool
    description: str
    changed_at: datetime | None
    changed_by: str | None
    reason: str | None


def list_(switch: FlagSwitch, settings: Mapping[str, Flag], *, remote: bool) -> tuple[FlagView, ...]:
    """Every flag of the configuration, and what else something was said of that holds; by name.

    Args:
        remote: whether a flag provider decides where nothing was said.
    """
    said = {change.flag: change for change in switch.changes()}
    names = {*settings, *(name for name, change in said.items() if change.state != "cleared")}
    return tuple(_view(name, settings.get(name), said.get(name), remote) for name in sorted(names))


def set_(
    switch: FlagSwitch,
    registry: Registry,
    settings: Mapping[str, Flag],
    name: str,
    *,
    on: bool,
    percentage: float | None = None,
    orgs: Sequence[str] = (),
    keys: Sequence[str] = (),
    reason: str,
    actor: str,
    now: float,
) -> FlagView:
    """Have a flag off, or on: for those given, or for everyone.

    Raises:
        NotFound: there is no such flag, organisation or key.
        UsageError: who has it on is not clear, or no reason is given.
    """
    if name not in settings:
        raise NotFound(f"The flag {name!r} is not in the configuration{nearest(name, settings.keys())}")
    if not on and (percentage is not None or orgs or keys):
        raise UsageError("Off is off for everyone; --percentage, --org and --key go with on.")
    if percentage is not None and not 0 < percentage <= 100:
        raise UsageError(
            f"{percentage:g} is no share of the keys; give more than 0 and at most 100 per cent."
        )
    if not reason.strip() or not actor.strip():
        raise UsageError("Say why: --reason TEXT; it is kept and shown by 'llmgw flags list'.")
    change = Change(
        flag=name,
        state="on" if on else "off",
        percentage=percentage or 0.0,
        orgs=tuple(organisations.find(registry, org).name for org in orgs),
        keys=tuple(virtual_keys.find(registry, key, None).id for key in keys),
        actor=actor.strip(),
        reason=reason.strip(),
        time=now,
    )
    switch.put(change)
    return _view(name, settings[name], change, remote=False)


def clear(
    switch: FlagSwitch,
    settings: Mapping[str, Flag],
    name: str,
    *,
    remote: bool,
    reason: str,
    actor: str,
    now: float,
) -> FlagView:
    """Have a flag as the configuration, or the flag provider, has it; NotFound where nothing was said of it."""
    said = {change.flag: change for change in switch.changes() if change.state != "cleared"}
    if name not in said:
        if name in settings:
            raise NotFound(f"The flag {name!r} is as the configuration has it already.")
        raise NotFound(
            f"The flag {name!r} is not in the configuration{nearest(name, settings.keys() | said.keys())}"
        )
    change = Change(flag=name, state="cleared", actor=actor, reason=reason.strip(), time=now)
    switch.put(change)
    return _view(name, settings.get(name), change, remote)


def _view(name: str, flag: Flag | None, change: Change | None, remote: bool) -> FlagView:
    definition = None if change is None else of_change(change)
    decided_by: Literal["configuration", "provider"] | By = "provider" if remote else "configuration"
    if definition is not None and change is not None:
        decided_by = change.by
    elif flag is not None and not remote:
        definition = of_config(name, flag)
    return FlagView(
        name=name,
        state=None if definition is None else _state(definition),
        decided_by=decided_by,
        percentage=0.0 if definition is None else definition.percentage,
        orgs=() if definition is None else tuple(sorted(definition.orgs)),
        keys=() if definition is None else tuple(sorted(definition.keys)),
        default=None if flag is None else flag.default,
        guarded=flag is not None and flag.guard is not None,
        description="" if flag is None else flag.description,
        changed_at=None if change is None else moment(change.time),
        changed_by=None if change is None else change.actor,
        reason=None if change is None else change.reason,
    )


def _state(definition: Definition) -> State:
    fixed = definition.fixed
    return "partly" if fixed is None else "on" if fixed else "off"
