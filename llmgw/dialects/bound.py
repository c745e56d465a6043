"""How many tokens a call can use at most, from the bytes of its request, before anybody has counted.

Half a token for each byte of ASCII and three quarters for each other byte is more than any tokenizer of these
providers makes of text (`docs/money.md` has what was measured). Media are not text: what is base64 counts by its kind
and not by its length. What a provider's own tools read in the middle of a call cannot be bounded from its request.
"""

from __future__ import annotations

import re
from typing import Any, Final

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

_ASCII: Final = bytes(range(128))
_data: Final = re.compile(rb'"(?:data|bytes|file_data)"[ \t\r\n]*:[ \t\r\n]*"|;base64,').search
_KIND: Final = 120
"""So many bytes before the data of a medium, and behind it, say what kind it is."""


def input_bound(raw: bytes, model: str) -> int:
    """The most tokens that a request body can be."""
    text, media = _apart(raw)
    beyond = 0 if text.isascii() else len(text.translate(None, _ASCII))
    count = REQUEST + (len(text) - beyond) // 2 + beyond * 3 // 4 + media
    if b'"tools"' in text:
        count += TOOLS_PLAIN if model.rpartition("/")[2].startswith(_PLAIN) else TOOLS
    # Their type or their address says that it is an image; either may say it alone.
    images = max(text.count(b"image/"), text.count(b'"image_url"') + text.count(b'"image"'))
    if images:
        count += images * next((tokens for name, tokens in IMAGES.items() if name in model), IMAGE)
    return count + DOCUMENT * (text.count(b'"document"') + text.count(b"/pdf") + text.count(b'"file'))


def input_estimate(raw: bytes) -> int:
    """About how many tokens a request body is, for calls that nobody counts; four bytes to a token, media apart."""
    text, media = _apart(raw)
    return max(1, len(text) // 4 + media) + 1_000 * text.count(b'"image')


def _apart(raw: bytes) -> tuple[bytes, int]:
    """The body without the data of its media, and the most tokens that those are by their length."""
    if len(raw) < INLINE or (b"data" not in raw and b"bytes" not in raw):
        return raw, 0
    kept: list[bytes] = []
    media = position = 0
    while (match := _data(raw, position)) is not None:
        start = match.end()
        end = raw.find(b'"', start)
        kept.append(raw[position:start])
        position = end if end >= 0 else len(raw)
        if position - start < INLINE:
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
