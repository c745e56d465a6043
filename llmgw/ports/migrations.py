"""Where a store's schema stands, as operators see it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Applied(Struct, frozen=True, kw_only=True):
    """A step that the store has taken."""

    number: int
    name: str
    applied_at: datetime


class Status(Struct, frozen=True, kw_only=True):
    """Where a store stands. `current` may be above `latest`: a newer llmgw has added to the schema."""

    current: int
    latest: int
    applied: list[Applied]
    pending: list[str]


class Fault(Struct, frozen=True, kw_only=True):
    """Why a step is not to be taken on a store in use."""

    file: str
    line: int
    rule: str
    message: str
