"""When a failing target is left alone, and for how long."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from llmgw.config.section import Count, Patience, Section


class Breakers(Section):
    """When a failing target is left alone, and for how long."""

    failures: Annotated[Count, Meta(description="Failures within the window that open the breaker.")] = 5
    ratio: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(
            description="Share of failures within the window that opens it as well, once min_calls have ended; "
            "null: their number alone counts."
        ),
    ] = None
    min_calls: Annotated[
        Count, Meta(description="Calls that must have ended within the window before ratio counts.")
    ] = 20
    window_s: Annotated[Patience, Meta(description="The time in which failures are counted.")] = field(
        default=30.0, name="window"
    )
    cooldown_s: Annotated[
        Patience,
        Meta(
            description="How long an open breaker keeps calls away, and how long a call that tries it has for that."
        ),
    ] = field(default=15.0, name="cooldown")
    half_open: Annotated[
        Count, Meta(description="Calls at a time that are let through to try it after that.")
    ] = 1
