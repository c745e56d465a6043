"""A call's record to start from."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from llmgw.ports import CallRecord

_PLAIN = CallRecord(
    time=1795425753.8865547,
    request_id="req_ba05d7a7fc22efa8",
    trace_id="3dbe8a086bb5633a04f2c77815a4eaa7",
    span_id="ba05d7a7fc22efa8",
    endpoint="chat_completions",
    method="POST",
    status=200,
    org="acme",
    key_id="key_01m83vdpma0ve60ja3aqgbyt11",
    model_asked="fast",
    model="gpt-4o",
    provider="openai",
    attempts=1,
    upstream_status=200,
    upstream_request_id="req_efeab4bccdafce3c9d44bcb6",
    request_bytes=81,
    response_bytes=695,
    total_s=0.5,
    overhead_s=0.0004,
    first_token_s=0.25,
)


def record(**changes: Any) -> CallRecord:
    """A call that went well, but for `changes`."""
    return replace(_PLAIN, **changes)
