"""What follows a failed try: another one, another secret, another target, or nothing. Pure.

A failure of one of the configured classes is tried again at the same target, after a pause with full jitter (Brooker,
"Exponential Backoff And Jitter", AWS Architecture Blog 2015), and then at the next target. A provider that says how
long to wait is believed, as far as the call's own time allows; where another target could answer meanwhile, it is
asked instead. What is wrong with the request is wrong everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Literal

from msgspec import Struct

from llmgw.config import units
from llmgw.config.models import Retries
from llmgw.errors import InvalidRequest

Cause = int | Literal["connect", "timeout", "credentials"]
"""How a try failed: an HTTP status, no connection, too late, or the provider refused the gateway's secret."""

BASE_S: Final = 0.25
CAP_S: Final = 8.0
"""The first pause is drawn from so many seconds, each next one from twice as many, never from more than the cap."""
PATIENCE_S: Final = 1.0
"""A provider that wants a longer pause is left for the next target, where there is one."""
TOO_MANY: Final = 429
LONGEST_S: Final = 30.0
"""A pause that no client waits for: the answer passes, and the client decides."""


class Step(Struct, frozen=True):
    """What comes next."""

    what: Literal["again", "next_secret", "next_target", "fail"]
    wait_s: float = 0.0
    """With `again`."""


FAIL: Final = Step("fail")
NEXT_TARGET: Final = Step("next_target")
NEXT_SECRET: Final = Step("next_secret")


def after(
    cause: Cause,
    retries: Retries,
    *,
    tries: int,
    secrets: int,
    others: bool,
    retry_after_s: float | None,
    left_s: float,
    draw: float,
) -> Step:
    """What follows a try that failed.

    Args:
        tries: made at this target, this one included.
        secrets: of the target's provider that it has not been asked with.
        others: whether there is another target to go to.
        retry_after_s: the pause that the provider asks for.
        left_s: of the call's own time.
        draw: a random number in [0, 1).
    """
    if cause == "credentials":
        return NEXT_SECRET
    if cause not in retries.retry_on:
        return FAIL
    if cause == TOO_MANY and secrets:
        return NEXT_SECRET  # each has limits of its own
    if tries >= retries.attempts:
        return NEXT_TARGET
    wait_s = min(CAP_S, BASE_S * 2.0 ** min(tries - 1, 10)) * draw
    if retry_after_s is not None:
        if others and retry_after_s > PATIENCE_S:
            return NEXT_TARGET
        wait_s = max(wait_s, retry_after_s)
    if wait_s >= left_s or wait_s > LONGEST_S:
        return NEXT_TARGET
    return Step("again", wait_s)


def retry_after_s(headers: Iterable[tuple[bytes, bytes]], now: float) -> float | None:
    """The pause that a provider asks for, in any of the three spellings: `retry-after-ms`, which is the most exact
    (OpenAI, Azure), `retry-after` as seconds or as a date (RFC 9110 section 10.2.3). None where it asks for none.

    Args:
        now: Unix seconds.
    """
    fields = {name: value for name, value in headers if name in (b"retry-after", b"retry-after-ms")}
    exact = _number(fields.get(b"retry-after-ms", b""))
    if exact is not None:
        return exact / 1000
    text = fields.get(b"retry-after")
    if text is None:
        return None
    seconds = _number(text)
    if seconds is not None:
        return seconds
    try:
        when = parsedate_to_datetime(text.decode("latin-1"))
        if when.tzinfo is None:  # asctime's format has no zone and is UTC (RFC 9110 section 5.6.7)
            when = when.replace(tzinfo=UTC)
        return max(0.0, when.timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _number(text: bytes) -> float | None:
    # Digits and a point: what float() takes besides (nan, inf, 1_0) is no number of seconds.
    whole, _, part = text.strip().partition(b".")
    if not whole.isdigit() or (part and not part.isdigit()) or len(text) > 20:
        return None
    return float(text)


def own_limit_s(value: bytes) -> float:
    """The time that a client gives its call in `x-llmgw-timeout`: seconds, or with a unit (`1500ms`, `30s`, `2m`).

    Raises:
        InvalidRequest: it is none.
    """
    seconds = _number(value)
    if seconds is None:
        seconds = units.seconds(value.decode("latin-1").strip())
    if not seconds:
        raise InvalidRequest(
            f"x-llmgw-timeout is {value[:40].decode('latin-1')!a}, which is no time; send seconds, such as 30, or a "
            "number with a unit: 1500ms, 30s, 2m.",
            param="x-llmgw-timeout",
        )
    return seconds
