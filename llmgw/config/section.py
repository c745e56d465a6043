"""What every section of the configuration is made of: the base of its types, and values with units."""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta, Struct

_userinfo: Final = re.compile(r"(?<=://)[^\s/?#]+@")


def without_password(text: str) -> str:
    """`text` with the user and password of every URL in it (RFC 3986 section 3.2.1) taken out."""
    return _userinfo.sub("redacted@", text)


YEAR_S: Final = 365 * 86400
"""The longest duration: event loops take no timer without end, and more than a year is a slip of the unit."""

# `extra["unit"]` tells reader and schema that the value is written as text with a unit.
Text = Annotated[str, Meta(min_length=1)]
Seconds = Annotated[float, Meta(ge=0, le=YEAR_S, extra={"unit": "duration"})]
Patience = Annotated[float, Meta(gt=0, le=YEAR_S, extra={"unit": "duration"})]
Bytes = Annotated[int, Meta(ge=1, extra={"unit": "size"})]
Port = Annotated[int, Meta(ge=0, le=65535)]
Pace = Annotated[float, Meta(ge=0, le=1000)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One mapping of the file; unknown keys are errors."""

    def __repr__(self) -> str:
        """As usual, but without the passwords that URLs hold (a proxy's, a store's)."""
        return without_password(super().__repr__())
