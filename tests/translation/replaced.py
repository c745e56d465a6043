"""Every value of a JSON document replaced in turn by each of a few others: exhaustive where `mutate` is random.

Places of the same shape (`choices[].delta.content`) are read by the same code, so each shape can be tried once over
all documents of an API; trying it in every document is for long runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

Json = Any

HUGE: Final = "\ue000"
"""Stands for a number that no float holds, which a decoded document cannot have in it."""
VALUES: Final[tuple[Json, ...]] = (None, True, 1, -1, HUGE, "", "x", [], {}, [None], {"a": 1})


def text(document: Json) -> bytes:
    """The document as JSON text."""
    return json.dumps(document, ensure_ascii=False).replace(f'"{HUGE}"', "1e400").encode()


def places(document: Json, shape: str = "") -> Iterator[tuple[str, Json, Any]]:
    """Every value below the top: its shape, its holder, and its name or index in it."""
    if isinstance(document, dict):
        kind = document.get("type")
        if isinstance(kind, str):
            shape += f"<{kind}>"  # members of the same name differ by what they are members of
        for name, member in document.items():
            yield f"{shape}.{name}", document, name
            yield from places(member, f"{shape}.{name}")
    elif isinstance(document, list):
        for index, member in enumerate(document):
            yield f"{shape}[]", document, index
            yield from places(member, f"{shape}[]")


def skeleton(document: Json) -> frozenset[str]:
    """What a document looks like, whatever it says."""
    return frozenset(shape for shape, _, _ in places(document))


def copies(document: Json, tried: set[str] | None = None) -> Iterator[tuple[str, bytes]]:
    """Each copy with one other value in it, as JSON text, and what was put where.

    Args:
        tried: shapes that are left out; gets those that are tried. None: all places.
    """
    for shape, holder, key in list(places(document)):
        if tried is not None:
            if shape in tried:
                continue
            tried.add(shape)
        kept = holder[key]
        for value in VALUES:
            holder[key] = value
            yield f"{shape} = {value!r}", text(document)
        holder[key] = kept
