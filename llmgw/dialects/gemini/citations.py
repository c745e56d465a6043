"""Gemini's grounding and citation metadata against citations of single texts.

A support says which bytes of the answer (UTF-8, thoughts left out) rest on which of the sources listed beside it.
Where `partIndex` is given, offsets count from the start of that part; in streams and behind other parts it is left
out, and they count from the start of the answer's first text. `Spoken` remembers as little of the text as it takes
to turn a byte's offset into a character's of one block.
"""

from __future__ import annotations

from collections.abc import Iterable

from llmgw.canonical import Citation, Json


class Spoken:
    """The text of one candidate so far: lengths of plain ASCII, words of everything else."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: list[tuple[int, int | str]] = []

    def say(self, block: int, text: str) -> None:
        """Add `text` to the block of that number."""
        if not text.isascii():
            self._pieces.append((block, text))
            return
        if self._pieces:
            last, piece = self._pieces[-1]
            if last == block and type(piece) is int:
                self._pieces[-1] = (block, piece + len(text))
                return
        self._pieces.append((block, len(text)))

    @property
    def last(self) -> int | None:
        """The last block that has text."""
        return self._pieces[-1][0] if self._pieces else None

    def find(self, start: int, end: int, within: int | None) -> tuple[int, int, int] | None:
        """The block in which the bytes from `start` to `end` lie, and the characters they are there; cut off at the
        block's end. None where there is no such text.

        Args:
            within: count from the start of this block and not of the first.
        """
        if within is not None:
            before = self._size_until(within)
            start, end = start + before, end + before
        begin, finish = self._locate(start, False), self._locate(end, True)
        if begin is None:
            return None
        block, first = begin
        last = finish[1] if finish is not None and finish[0] == block else self._length(block)
        return (block, first, last) if first <= last else None

    def _locate(self, offset: int, is_end: bool) -> tuple[int, int] | None:
        bytes_before = 0
        characters: dict[int, int] = {}
        for block, piece in self._pieces:
            encoded = piece if isinstance(piece, int) else piece.encode("utf-8", "replace")
            size = encoded if isinstance(encoded, int) else len(encoded)
            before = characters.get(block, 0)
            inside = offset - bytes_before
            if inside < size or (is_end and inside == size):
                if isinstance(encoded, int):
                    return block, before + inside
                return block, before + len(encoded[:inside].decode("utf-8", "ignore"))
            bytes_before += size
            characters[block] = before + (piece if isinstance(piece, int) else len(piece))
        return None

    def _size_until(self, block: int) -> int:
        return sum(
            piece if isinstance(piece, int) else _size(piece) for one, piece in self._pieces if one < block
        )

    def _length(self, block: int) -> int:
        return sum(
            piece if isinstance(piece, int) else len(piece) for one, piece in self._pieces if one == block
        )


def read(grounding: Json, citing: Json, spoken: Spoken) -> list[tuple[int, Citation]]:
    """The citations of a candidate, each with the block it belongs to. What is not in the published shape is left
    to the metadata as a whole, which the answer keeps beside them."""
    found = [*_supports(grounding, spoken), *_sources(citing, spoken)]
    return [(block, citation) for block, citation in found if block is not None]


def _supports(grounding: Json, spoken: Spoken) -> Iterable[tuple[int | None, Citation]]:
    if type(grounding) is not dict:
        return
    chunks, supports = grounding.get("groundingChunks"), grounding.get("groundingSupports")
    if type(chunks) is not list or type(supports) is not list:
        return
    for support in supports:
        if type(support) is not dict or type(support.get("groundingChunkIndices")) is not list:
            continue
        segment = support.get("segment")
        for index in support["groundingChunkIndices"]:
            if type(index) is int and 0 <= index < len(chunks) and type(chunks[index]) is dict:
                yield _placed(segment, _source(chunks[index]), spoken)


def _source(chunk: dict[str, Json]) -> dict[str, str | None]:
    for kind in ("web", "retrievedContext", "maps", "image"):
        source = chunk.get(kind)
        if type(source) is dict:
            return {
                "url": _text(source.get("uri")) or _text(source.get("sourceUri")),
                "title": _text(source.get("title")),
                "quote": _text(source.get("text")),
            }
    return {"url": None, "title": None, "quote": None}


def _sources(citing: Json, spoken: Spoken) -> Iterable[tuple[int | None, Citation]]:
    """`citationMetadata`, whose list Vertex AI calls `citations`."""
    if type(citing) is not dict:
        return
    sources = citing.get("citationSources") or citing.get("citations")
    for source in sources if type(sources) is list else ():
        if type(source) is dict:
            about = {"url": _text(source.get("uri")), "title": _text(source.get("title")), "quote": None}
            yield _placed(source, about, spoken)


def _placed(segment: Json, source: dict[str, str | None], spoken: Spoken) -> tuple[int | None, Citation]:
    where = None
    if type(segment) is dict:
        start, end = segment.get("startIndex", 0), segment.get("endIndex")
        if type(start) is int and type(end) is int and 0 <= start <= end:
            part = segment.get("partIndex")
            where = spoken.find(start, end, part if type(part) is int and part > 0 else None)
    block, first, last = where if where is not None else (spoken.last, None, None)
    return block, Citation(
        url=source["url"], title=source["title"], quote=source["quote"], start=first, end=last
    )


def _text(value: Json) -> str | None:
    return value if type(value) is str and value else None


class Cited:
    """Gathers citations of another dialect's as `groundingMetadata`."""

    __slots__ = ("_chunks", "_supports")

    def __init__(self) -> None:
        self._chunks: list[Json] = []
        self._supports: list[Json] = []

    def add(self, citation: Citation, text: str, *, part: int = 0, before: int = 0) -> None:
        """Add a citation of `text`.

        Args:
            part: the index of the part that `text` is, where offsets are to count from its start.
            before: bytes of the answer's text in front of `text`, where they are to count from there.
        """
        first = citation.start or 0
        cited = text[first : citation.end]
        start = before + _size(text[:first])
        segment: dict[str, Json] = {"endIndex": start + _size(cited), "text": cited}
        if start:
            segment["startIndex"] = start
        if part:
            segment["partIndex"] = part
        self._supports.append({"segment": segment, "groundingChunkIndices": [self._index(citation)]})

    def _index(self, citation: Citation) -> int:
        about = {"uri": citation.url, "title": citation.title}
        if citation.url is None or citation.quote is not None:
            about["text"] = citation.quote
        source = {name: value for name, value in about.items() if value is not None}
        chunk = {"retrievedContext" if "text" in about else "web": source}
        if chunk not in self._chunks:
            self._chunks.append(chunk)
        return self._chunks.index(chunk)

    def members(self) -> dict[str, Json]:
        """The member of a candidate that holds them; none where there are none."""
        if not self._supports:
            return {}
        return {"groundingMetadata": {"groundingChunks": self._chunks, "groundingSupports": self._supports}}


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
