"""The lines of the journal: a row of the ledger as one JSON array, in the order of the table's columns.

New columns go to the end and have a default, so that lines written by an older version are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw, Struct

from llmgw.canonical import Usage
from llmgw.ports import LedgerRow

HOUR_S: Final = 3_600
DAY_S: Final = 86_400

# Sums of such amounts stay within 64 bits. What is beyond them is no amount of a call.
Count = Annotated[int, Meta(ge=0, le=10**12)]
NanoUsd = Annotated[int, Meta(ge=0, le=10**15)]


class Line(Struct, array_like=True, frozen=True):
    """A row as it is stored; the fields are the table's columns."""

    id: str
    time: float
    request_id: str
    trace_id: str
    org_id: str
    org: str
    key_id: str
    tags: Raw
    endpoint: str
    model_asked: str
    model: str
    provider: str
    route: str | None
    attempts: Count
    streamed: bool
    status: Count
    error: str | None
    input: Count | None
    cache_read: Count | None
    cache_write_5m: Count | None
    cache_write_1h: Count | None
    input_audio: Count | None
    output: Count | None
    reasoning: Count | None
    output_audio: Count | None
    usage_source: str
    reserved_nano_usd: NanoUsd
    cost_nano_usd: NanoUsd | None
    asked_cost_nano_usd: NanoUsd | None
    price_version: str | None
    latency_ms: Count
    first_token_ms: Count | None
    shadow_route: str | None = None
    shadow_cost_nano_usd: NanoUsd | None = None
    policies: tuple[str, ...] | None = None


COLUMNS: Final = Line.__struct_fields__
BUCKETS: Final = tuple(name for name in Usage.__struct_fields__ if name != "native")

_encoder: Final = msgspec.json.Encoder()
decode: Final = msgspec.json.Decoder(Line).decode
"""The row of a line; msgspec.MsgspecError where it is none."""
tags_of: Final = msgspec.json.Decoder(dict[str, str]).decode
_names_of: Final = msgspec.json.Decoder(tuple[str, ...]).decode


def encode(row: LedgerRow) -> bytes:
    """The line of a row."""
    usage = row.usage
    return _encoder.encode(
        (
            row.id,
            row.time,
            row.request_id,
            row.trace_id,
            row.org_id,
            row.org,
            row.key_id,
            row.tags,
            row.endpoint,
            row.model_asked,
            row.model,
            row.provider,
            row.route,
            row.attempts,
            row.streamed,
            row.status,
            row.error,
            usage.input,
            usage.cache_read,
            usage.cache_write_5m,
            usage.cache_write_1h,
            usage.input_audio,
            usage.output,
            usage.reasoning,
            usage.output_audio,
            row.usage_source,
            row.reserved_nano_usd,
            row.cost_nano_usd,
            row.asked_cost_nano_usd,
            row.price_version,
            row.latency_ms,
            row.first_token_ms,
            row.shadow_route,
            row.shadow_cost_nano_usd,
            row.policies or None,
        )
    )


def values_of(line: Line) -> list[Any]:
    """What goes into COLUMNS; tags and policies as JSON."""
    columns = list(msgspec.structs.astuple(line))
    columns[_TAGS] = bytes(line.tags).decode()
    if line.policies is not None:
        columns[_POLICIES] = _encoder.encode(line.policies).decode()
    return columns


_TAGS: Final = COLUMNS.index("tags")
_POLICIES: Final = COLUMNS.index("policies")


def row_of(values: Sequence[Any]) -> LedgerRow:
    """The row of what `SELECT` says of COLUMNS."""
    fields = dict(zip(COLUMNS, values, strict=True))
    usage = Usage(**{name: fields.pop(name) for name in BUCKETS})
    return LedgerRow(
        **{
            **fields,
            "tags": tags_of(fields["tags"]),
            "streamed": bool(fields["streamed"]),
            "policies": () if fields["policies"] is None else _names_of(fields["policies"]),
        },
        usage=usage,
    )
