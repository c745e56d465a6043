"""What the operator's hand on the brake means for a call. Pure.

Several scopes may be on at once; of those that are for a call, one that blocks goes before one that lets it pass with
everything clever switched off. A provider or a model that is blocked is left out of a pool; where nothing else is in
it, the call is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Literal

from msgspec import Struct

from llmgw.rules.access import KeyRecord

Action = Literal["passthrough", "block"]
ScopeKind = Literal["all", "org", "provider", "model", "key"]
KINDS: tuple[ScopeKind, ...] = ("all", "org", "provider", "model", "key")


class Entry(Struct, frozen=True, kw_only=True):
    """One scope that is on."""

    scope: ScopeKind
    name: str = ""
    """Of the organisation, provider or key (`acme/app` is the key `app` of acme), or the model (`*` stands for any
    text); empty for all."""
    action: Action
    reason: str
    actor: str
    since: float
    """Unix seconds."""
    retry_after_s: float = 60.0
    cut: bool = False
    """Whether streams that were under way when it came on were cut."""

    @property
    def text(self) -> str:
        """As the command line spells it: `org:acme`."""
        return self.scope if self.scope == "all" else f"{self.scope}:{self.name}"


def concerns_caller(entry: Entry, key: KeyRecord) -> bool:
    """Whether it is for every call of the key."""
    match entry.scope:
        case "all":
            return True
        case "org":
            return entry.name in (key.org, key.org_id)
        case "key":
            return entry.name in (key.id, key.public_id, key.name, f"{key.org}/{key.name}")
        case _:
            return False


def concerns_target(entry: Entry, provider: str, model: str) -> bool:
    """Whether it is for every call to the target."""
    if entry.scope == "provider":
        return entry.name == provider
    if entry.scope == "model":
        return fnmatchcase(model, entry.name) or fnmatchcase(f"{provider}/{model}", entry.name)
    return False


def stops(entries: Sequence[Entry], key: KeyRecord, asked: str, provider: str, model: str) -> Entry | None:
    """Which entry keeps a call from a target; None where none does."""
    blocks, _ = of_call(entries, key, asked)
    if blocks is not None:
        return blocks
    at_target = (
        entry for entry in entries if entry.action == "block" and concerns_target(entry, provider, model)
    )
    return next(at_target, None)


def of_call(entries: Sequence[Entry], key: KeyRecord, asked: str) -> tuple[Entry | None, bool]:
    """Which entry blocks the call, wherever it goes, and whether it passes by no route and no choice."""
    found = [
        entry
        for entry in entries
        if concerns_caller(entry, key) or (entry.scope == "model" and fnmatchcase(asked, entry.name))
    ]
    blocks = next((entry for entry in found if entry.action == "block"), None)
    return blocks, any(entry.action == "passthrough" for entry in found)
