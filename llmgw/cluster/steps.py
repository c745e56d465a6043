"""The steps of the schema: numbered files of plain SQL, in `schema/`.

The first line of a file says what it does. Two comments, each a line of its own before the first statement, change how
it is taken:

    -- llmgw: outside a transaction      each statement by itself, as CREATE INDEX CONCURRENTLY wants it
    -- llmgw: not additive               the release before this step's cannot work with it

A released file is never edited: its checksum is in every store. A step that is additive may meet code of the release
before it, for a while or for long (a roll-out that was stopped): it adds tables, columns that may be left out, indexes,
and takes nothing away. What it makes superfluous goes in a later release, by a step that is not additive (expand, then
contract).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from msgspec import Struct

_FILE: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_MARK: Final = re.compile(r"^-- llmgw: (.*)$", re.MULTILINE)


class Step(Struct, frozen=True, kw_only=True):
    """One file."""

    number: int
    file: str
    name: str
    text: str
    in_transaction: bool
    additive: bool

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def read(file: str, text: str) -> Step:
    """The step in a file of that name.

    Raises:
        ValueError: the file's name or a comment of it is not understood.
    """
    number = _FILE.fullmatch(file)
    title = text.partition("\n")[0]
    marks = set(_MARK.findall(text))
    if number is None or not title.startswith("-- ") or marks - {"outside a transaction", "not additive"}:
        raise ValueError(f"{file} is no step of the schema: see llmgw/cluster/steps.py")
    return Step(
        number=int(number[1]),
        file=file,
        name=title.removeprefix("-- ").strip(),
        text=text,
        in_transaction="outside a transaction" not in marks,
        additive="not additive" not in marks,
    )


@cache
def released() -> Sequence[Step]:
    """Every step that this llmgw knows, in order."""
    folder = files("llmgw.cluster") / "schema"
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return sorted(
        (read(entry.name, entry.read_text(encoding="utf-8")) for entry in found), key=lambda step: step.number
    )
