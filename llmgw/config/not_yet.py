"""What this version reads and checks, and does not act on. A version that acts on it deletes its row.

The file's format is settled before all of it is in force, so that a file written today stays valid. Nobody may
think that a limit or a policy holds when it does not: each use is a warning at its line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from llmgw.config.faults import Place
from llmgw.config.schema import Config, Telemetry

_TELEMETRY: Final = Telemetry()


def _always(_: object) -> bool:
    return True


def _never(_: object) -> bool:
    return False


def _differs_from(default: object) -> Callable[[Any], bool]:
    return lambda value: bool(value != default)


NOT_YET: Final[Mapping[Place, tuple[Callable[[Any], bool], str]]] = {
    ("admin",): (_always, "there is no control-plane listener"),
    ("telemetry", "otlp_endpoint"): (_differs_from(_TELEMETRY.otlp_endpoint), "traces are not exported"),
    ("telemetry", "sample"): (_differs_from(_TELEMETRY.sample), "traces are not exported"),
    ("telemetry", "content"): (_differs_from(_TELEMETRY.content), "no content is kept"),
}
"""Where a setting stands (`*`: any name), when it counts, and what happens instead."""


def effect(place: Place, config: Config) -> str | None:
    """What happens instead of what the setting at `place` asks for; None where it has its effect."""
    if not 1 <= len(place) <= 3:
        return None
    named = place[0] in ("providers", "models") and len(place) > 1
    pattern = (str(place[0]), "*", *place[2:]) if named else place
    counts, instead = NOT_YET.get(pattern, (_never, ""))
    value: Any = config
    for step in place:
        value = value.get(step) if isinstance(value, dict) else getattr(value, str(step), None)
    return instead if value is not None and counts(value) else None
