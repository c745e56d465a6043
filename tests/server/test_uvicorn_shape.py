"""The lane stands on uvicorn's protocol class; a release that changes its shape must fail here and not in service."""

from __future__ import annotations

import inspect

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


def test_the_protocol_has_the_parts_that_the_lane_overrides_and_uses() -> None:
    """Every method and attribute the lane relies on is there, with the arguments it is called with."""
    signatures = {
        "connection_lost": ["self", "exc"],
        "data_received": ["self", "data"],
        "eof_received": ["self"],
        "pause_writing": ["self"],
        "resume_writing": ["self"],
        "on_message_begin": ["self"],
        "on_header": ["self", "name", "value"],
        "on_headers_complete": ["self"],
        "on_body": ["self", "body"],
        "on_message_complete": ["self"],
        "on_response_complete": ["self"],
        "send_400_response": ["self", "msg"],
        "shutdown": ["self"],
        "_start_asgi_task": ["self", "cycle", "app"],
    }
    for name, parameters in signatures.items():
        assert list(inspect.signature(getattr(HttpToolsProtocol, name)).parameters) == parameters, name
    source = inspect.getsource(HttpToolsProtocol)
    for attribute in (
        "self.pipeline",
        "self.cycle",
        "self.flow",
        "self.server_state",
        "self.parser",
        "self.url",
    ):
        assert attribute in source, attribute
    assert "response_complete" in inspect.getsource(RequestResponseCycle)


def test_the_server_has_the_hooks_that_the_run_uses() -> None:
    """The tick sweeps, the shutdown drains, and signals are ours."""
    for name in ("on_tick", "shutdown", "capture_signals", "handle_exit"):
        assert callable(getattr(uvicorn.Server, name)), name
