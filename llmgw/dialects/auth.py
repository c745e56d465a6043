"""Which header field carries a provider's secret, where it is sent as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from llmgw.dialects.dialect import Header

_FIELDS: Final[Mapping[str, Callable[[bytes], tuple[Header, ...]]]] = {
    "bearer": lambda secret: ((b"authorization", b"Bearer " + secret),),
    "api-key": lambda secret: ((b"api-key", secret),),
    "x-api-key": lambda secret: ((b"x-api-key", secret),),
    "x-goog-api-key": lambda secret: ((b"x-goog-api-key", secret),),
    "none": lambda secret: (),
}


def credential(auth: str, secret: str) -> tuple[Header, ...]:
    """The header fields that carry `secret`, for a host's way of `auth`."""
    return _FIELDS[auth](secret.encode("latin-1"))
