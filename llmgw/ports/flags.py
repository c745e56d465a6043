"""Flags, as calls see them, as operators set them, and as a provider elsewhere is known here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from llmgw.rules.access import KeyRecord
from llmgw.rules.breaker import Outcome
from llmgw.rules.flags import Change


class Flags(Protocol):
    """Which flags are on, for the calls of one process.

    The guarantee: nothing here waits or raises, whatever the store and the provider do. What an operator has set in any
    process is in force within a second, and a flag that its guard has turned off stays off until an operator speaks.
    What is known last holds while the store or the provider is away; before anything is known, the configuration does.
    """

    def is_on(self, name: str, key: KeyRecord) -> bool:
        """Whether the flag is on for the key's calls; False for a flag that the configuration does not have."""
        ...

    def note(
        self,
        names: Sequence[str],
        outcome: Outcome,
        latency_s: float,
        cost_nano_usd: int | None,
        now: float,
    ) -> None:
        """A call has ended that went where it went because these flags were on. `now`: of `time.monotonic`."""
        ...

    def states(self) -> Mapping[str, float]:
        """The share of keys that each flag is on for, 0 to 1, those that are named left out."""
        ...

    @property
    def trips(self) -> Mapping[str, int]:
        """How often each guard has turned its flag off in this process."""
        ...

    @property
    def degraded(self) -> str | None:
        """`flags` while the provider does not answer; None while all is well."""
        ...


class FlagSource(Protocol):
    """A flag provider elsewhere, as far as it is known here. Nothing waits or raises."""

    def last(self, name: str, key: KeyRecord, default: bool) -> bool:
        """What it said last of the flag for that key, and a wish to hear it again if that was long ago; `default` where
        it has said nothing yet."""
        ...

    def share(self, name: str) -> float | None:
        """The share of the keys known here that it has said yes for."""
        ...

    @property
    def failing(self) -> bool:
        """Whether it does not answer just now."""
        ...


class FlagSwitch(Protocol):
    """What operators say of flags; raises StoreUnavailable where the store takes or gives nothing."""

    def changes(self) -> Sequence[Change]:
        """What was said last of each flag, by name."""
        ...

    def put(self, change: Change) -> None:
        """Have this in place of what was said of the flag before."""
        ...
