"""Points in time and spans as operators write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, overload

from llmgw.errors import UsageError

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_span: Final = re.compile(r"([0-9]{1,9})([smhdw])").fullmatch
_LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


@overload
def moment(unix_s: float) -> datetime: ...
@overload
def moment(unix_s: None) -> None: ...
def moment(unix_s: float | None) -> datetime | None:
    """Unix seconds as a point in time, UTC, to the second."""
    return None if unix_s is None else datetime.fromtimestamp(int(unix_s), UTC)


def span_s(text: str, what: str) -> int:
    """Seconds in `90d`, `24h`, `30m`, `45s` or `2w`; `what` names the argument in the UsageError."""
    match = _span(text)
    if match is None or int(match[1]) == 0:
        raise UsageError(f"{what} {text!r} is not understood; write a span such as 30m, 24h or 90d.")
    return int(match[1]) * _UNITS[match[2]]


def expiry(text: str, now: float) -> float:
    """When something expires, in Unix seconds: after a span (`90d`), or at an ISO 8601 date or time.

    A date means its beginning, and a time without an offset is UTC. UsageError where it is neither, or past.
    """
    if _span(text) is not None:
        at = now + span_s(text, "The expiry")
    else:
        try:
            parsed = datetime.fromisoformat(text)
        except ValueError:
            raise UsageError(
                f"The expiry {text!r} is not understood; write a span such as 90d, or a date such as "
                "2030-01-31."
            ) from None
        at = (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).timestamp()
        if at <= now:
            raise UsageError(f"The expiry {text!r} is in the past.")
    if at >= _LATEST:
        raise UsageError(f"The expiry {text!r} is too far away; leave it out for a key that does not expire.")
    return at
