"""Tags of a call, `name=value`: what limits, budgets and reports can be had by.

They are the metadata of the call's key, which an operator has written, and what the client adds in `x-llmgw-tags`. A
client cannot replace what the key says, or it could leave a budget by renaming itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from llmgw.errors import InvalidRequest

HEADER: Final = b"x-llmgw-tags"
LIMIT: Final = 16
"""Tags that a client may add to a call."""
_tag: Final = re.compile(
    r"[ ]*([A-Za-z0-9._/-]{1,64})=([A-Za-z0-9._:/@+ -]{0,127}[A-Za-z0-9._:/@+-])[ ]*"
).fullmatch


def of_call(metadata: Mapping[str, str], header: bytes | None) -> Mapping[str, str]:
    """The tags of a call.

    Args:
        metadata: the key's.
        header: the client's `x-llmgw-tags`, if it sent one.

    Raises:
        InvalidRequest: the header is not a short list of `name=value`.
    """
    if header is None:
        return metadata
    pairs = header.decode("latin-1").split(",")
    if len(pairs) > LIMIT:
        raise InvalidRequest(
            f"x-llmgw-tags has {len(pairs)} tags; send at most {LIMIT}.", param="x-llmgw-tags"
        )
    tags: dict[str, str] = {}
    for pair in pairs:
        match = _tag(pair)
        if match is None:
            raise InvalidRequest(
                f"x-llmgw-tags has {pair.strip()[:80]!a}, which is no tag; send name=value, separated by commas: "
                "letters, digits and ._/- (values also :@+ and spaces), names up to 64 and values up to 128 long.",
                param="x-llmgw-tags",
            )
        tags[match[1]] = match[2]
    return {**tags, **metadata}
