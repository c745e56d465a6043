"""How spellings of this API travel within a stream of events, from the reader to the writer of the same.

The neutral events say what a delta means. Where they cannot say how it was spelled (thoughts under another name, a
content that is an array), a native event goes before them with the delta as it came and the number of events that
it stands for; a writer of this API writes it in their place. Members that mean nothing elsewhere are native events
of the kind of object they stand in.
"""

from __future__ import annotations

from typing import Final

RAW: Final = "raw"
"""Data: `{"delta": …, "covers": n}`."""
DELTA: Final = "delta"
CHOICE: Final = "choice"
CHUNK: Final = "chunk"
"""Data: further members of a delta, of a choice, of a chunk."""
