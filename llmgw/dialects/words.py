"""A dialect's own words for what the neutral model holds in other ones, kept beside `native`.

A default spelt out, an older name of a field, a string where an array may stand: the dialect that said it gets it back
as it was, and no other counts it as lost, because the neutral model has its meaning already.
"""

from __future__ import annotations

from llmgw.canonical import NOTHING, Json, Native


class Said(dict[str, Json]):
    """A `native` mapping with `words` of `dialect` beside it. As a mapping it has only what the neutral model cannot
    hold."""

    __slots__ = ("dialect", "words")

    def __init__(self, native: Native, words: Native, dialect: str) -> None:
        super().__init__(native)
        self.words = words
        self.dialect = dialect


class Words:
    """The words of one dialect; those of another are none of its business."""

    __slots__ = ("_dialect",)

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect

    def keep(self, native: Native, words: Native) -> Native:
        """`native`, with `words` beside it where there are any, added to those it has."""
        return Said(native, {**self.of(native), **words}, self._dialect) if words else native

    def of(self, native: Native) -> Native:
        """The words kept beside `native`."""
        return native.words if isinstance(native, Said) and native.dialect == self._dialect else NOTHING
