"""How many tokens a call can use at most, from the bytes of its request, before anybody has counted.

No byte-level vocabulary makes more tokens of a text than it has bytes, but of words it makes a quarter of that. So
each byte counts by its class, in half tokens: one for a space and for the ten commonest small letters, which are
joined with their neighbours everywhere; three for a digit, a capital and a mark, which often stand alone and keep such
a neighbour alone too; two for the rest. That is more than any of eleven vocabularies makes of any kind of text,
ordinary or random (`docs/money.md` has the ratios). Not covered: words made up against one vocabulary, out of letters
that it has no pairs of (at most twice the bound), and characters that Unicode normalisation takes apart.

Media are not text: what is base64 counts by its kind and not by its length. What a provider's own tools read in the
middle of a call cannot be bounded from its request.
"""

from __future__ import annotations

import re
from codecs import raw_unicode_escape_decode
from typing import Any, Final
from zlib import adler32

import msgspec
from msgspec import Struct

TOOLS: Final = 700
"""What providers put before the tools of a request (platform.claude.com, "Tool use": up to some 530 tokens)."""
TOOLS_PLAIN: Final = 64
_PLAIN: Final = ("gpt-", "o1", "o3", "o4", "gemini-")
"""Models whose providers add next to nothing (recorded)."""
REQUEST: Final = 16
IMAGE: Final = 3_000
"""Tokens of one image: Anthropic's largest is about 1,600, OpenAI's 1,445, tiles of Gemini's some 2,600."""
IMAGES: Final = {"gpt-4o-mini": 48_200}
"""Of models that count images otherwise (OpenAI, "Images and vision": 2,833 and 5,667 for each of 8 tiles)."""
PAGE_BYTES: Final = 3
"""A document of text has at least so many bytes for each of its tokens."""
DOCUMENT: Final = 3_000
SOUND_BYTES: Final = 100
"""Sound has at least so many bytes for each token (32 tokens a second; 3 kB a second is the worst that is usable)."""
INLINE: Final = 256
"""From so many characters on, a string of data is a medium."""
OUTPUT: Final = 16_384
"""The longest answer of a model that nothing is known of."""
MOST: Final = 10_000_000
"""No request for more output is meant."""

_CLASSES: Final = (
    # A bare quotation mark is the JSON's own; one in a text comes behind a backslash, as a line feed does.
    (1, b' "etaoinsrdl'),
    (3, b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'()*+,-./:;<=>?@[]^_`{|}~"),
    # First bytes of characters in UTF-8: Cyrillic, Hebrew and Arabic, which every vocabulary has the letters of ...
    (1, b"\xd0\xd1\xd7\xd8\xd9"),
    # ... and what some rewrite into more, or do not join with its spaces: combining marks, Armenian, Syriac to N'Ko,
    # presentation forms, the other planes.
    (3, b"\xcc\xcd\xd4\xd5\xdc\xdd\xde\xdf\xef\xf0"),
)
_PIECE: Final = 16_384
"""The weights of so many bytes add up to less than Adler-32's modulus (65,521; RFC 1950, section 9)."""
_IS: Final = rb'"[ \t\r\n]*:[ \t\r\n]*"'
_URI: Final = rb'data:[^",]{0,120},'
_data: Final = re.compile(
    rb"(?:data|bytes)" + _IS + rb"(?:" + _URI + rb")?|(?:url|uri|image)" + _IS + _URI
).search
"""The beginning of a member that may hold a medium; what a text quotes has backslashes before its quotation marks."""
_KIND: Final = 120
"""So many bytes before the data of a medium say what kind it is."""


def _weights() -> bytes:
    """Half tokens for each value of a byte."""
    weights = bytearray([2]) * 256
    for weight, members in _CLASSES:
        for member in members:
            weights[member] = weight
    return bytes(weights)


_WEIGHTS: Final = _weights()


def input_bound(raw: bytes, model: str) -> int:
    """The most tokens that a request body can be."""
    text, media = _apart(raw)
    count = REQUEST - (-_halves(text) // 2) + media
    if b'"tools"' in text:
        count += TOOLS_PLAIN if model.rpartition("/")[2].startswith(_PLAIN) else TOOLS
    if b"image" in text:
        # Their type or their address says that it is an image; either may say it alone.
        images = max(text.count(b"image/"), text.count(b'"image_url"') + text.count(b'"image"'))
        count += images * next((tokens for name, tokens in IMAGES.items() if name in model), IMAGE)
    documents = text.count(b'"document"') + text.count(b'"file') + (text.count(b"/pdf") if media else 0)
    return count + DOCUMENT * documents


def _halves(text: bytes) -> int:
    """The sum of the weights of a text; the low half of an Adler-32 that begins at 0 is the sum of its bytes."""
    if text.isascii() and b"\\u" in text:
        # An escape is six bytes of one character. This codec knows them as JSON does, and nothing else.
        text = raw_unicode_escape_decode(text, "replace")[0].encode("utf-8", "surrogatepass")
    weights = text.translate(_WEIGHTS)
    if len(weights) <= _PIECE:
        return adler32(weights, 0) & 0xFFFF
    view = memoryview(weights)
    return sum(adler32(view[at : at + _PIECE], 0) & 0xFFFF for at in range(0, len(view), _PIECE))


def input_estimate(raw: bytes) -> int:
    """About how many tokens a request body is, for calls that nobody counts; four bytes to a token, media apart."""
    text, media = _apart(raw)
    return max(1, len(text) // 4 + media) + 1_000 * text.count(b'"image')


def _apart(raw: bytes) -> tuple[bytes, int]:
    """The body without the data of its media, and the most tokens that those are by their length."""
    if len(raw) < INLINE or (b"data" not in raw and b"bytes" not in raw):
        return raw, 0
    # Where the words are only the text's, looking for members takes several times as long as this.
    if b";base64," not in raw and b'data"' not in raw and b'bytes"' not in raw:
        return raw, 0
    kept: list[bytes] = []
    media = position = 0
    while (match := _data(raw, position)) is not None:
        start = match.end()
        end = raw.find(b'"', start)
        kept.append(raw[position:start])
        position = end if end >= 0 else len(raw)
        # Base64 has neither; a document may be plain text, and so may an argument of a tool.
        if (
            position - start < INLINE
            or raw.find(b" ", start, position) >= 0
            or raw.find(b",", start, position) >= 0
        ):
            kept.append(raw[start:position])
        else:
            media += _medium(raw[max(match.start() - _KIND, 0) : start], position - start)
    kept.append(raw[position:])
    return b"".join(kept), media


def _medium(before: bytes, size: int) -> int:
    """Tokens of inline data by what stands before it, besides what counts once for each medium."""
    if b"image" in before:
        return 0
    if b"audio" in before:
        return size // SOUND_BYTES
    return size // PAGE_BYTES


def output_counted(said_bytes: int) -> int:
    """About how many tokens a text of so many bytes is."""
    return -(-said_bytes // 4)


class _Config(Struct, rename="camel"):
    max_output_tokens: Any = None
    candidate_count: Any = None


class _Fields(Struct):
    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_output_tokens: Any = None
    n: Any = None
    service_tier: Any = None
    config: _Config | None = msgspec.field(default=None, name="generationConfig")


_decode: Final = msgspec.json.Decoder(_Fields).decode


class Asked(Struct, frozen=True):
    """What a request says of its output."""

    tokens: int | None
    """At most, of all alternatives together; None where it does not say, or says what cannot be meant."""
    alternatives: int
    service_tier: str | None


def asked(raw: bytes) -> Asked:
    """What a request of any endpoint says; never fails, for its fields are the provider's to judge."""
    try:
        fields = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Asked(None, 1, None)
    config = fields.config or _Config()
    limits = (
        fields.max_completion_tokens,
        fields.max_tokens,
        fields.max_output_tokens,
        config.max_output_tokens,
    )
    limit = next((value for value in limits if type(value) is int and value > 0), None)
    several = fields.n if fields.n is not None else config.candidate_count
    alternatives = min(several, 128) if type(several) is int and several > 1 else 1
    tier = fields.service_tier if type(fields.service_tier) is str else None
    return Asked(None if limit is None else min(limit, MOST) * alternatives, alternatives, tier)


def output_assumed(max_output: int | None, share: float) -> int:
    """What is reserved for a call that does not say how long its answer may be."""
    return max(1, int((OUTPUT if max_output is None else max_output) * share))
