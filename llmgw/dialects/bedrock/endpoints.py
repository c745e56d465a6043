"""Where a provider of the Converse API is asked. No client asks the gateway there, so the paths are the provider's."""

from __future__ import annotations

from typing import Final

from llmgw.dialects.dialect import Endpoint

CONVERSE: Final = Endpoint(name="converse", path=b"/model/", suffix=b"/converse", names_model=True)
CONVERSE_STREAM: Final = Endpoint(
    name="converse_stream",
    path=b"/model/",
    suffix=b"/converse-stream",
    names_model=True,
    streams=True,
    stream_type=b"application/vnd.amazon.eventstream",
)
