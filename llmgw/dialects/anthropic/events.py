"""How a stream's own words travel as native events, from the reader to the writer of this API.

Blocks that the neutral model has no part for pass as they came, event by event, under their event's type. What a
known block or the end of the message has beyond the neutral model stands in two kinds made up here.
"""

from __future__ import annotations

from typing import Final

START: Final = "content_block_start"
DELTA: Final = "content_block_delta"
STOP: Final = "content_block_stop"
"""The whole event; its index is replaced."""
BLOCK: Final = "content_block"
"""Further members of the block that opens next."""
MESSAGE: Final = "message_delta"
"""Further members of the event, those of its `delta` within `delta`."""
