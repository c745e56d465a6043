"""The neutral model that every dialect is read into and written from.

It holds what at least two dialects can say. What only one of them can say stands in `native`, exactly as that
dialect writes it: written back to the same dialect it returns unchanged, and the writer of another dialect
must account for it (`dialects/codec.py`, `Losses`). So nothing can vanish between a reader and a writer.

Values are immutable. JSON text that is passed through, such as a tool call's arguments, stays text, because a
decoded number does not always come back as it was written. Absent is None and never 0, "" or an empty list.
"""

from __future__ import annotations

from llmgw.canonical.answer import Answer, Choice, Finish, ProviderError, Reason
from llmgw.canonical.embeddings import Embed, Embeddings
from llmgw.canonical.events import (
    CitationDelta,
    End,
    Event,
    Failure,
    FinishEvent,
    MediaDelta,
    NativeDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ThoughtDelta,
    ToolDelta,
    UsageEvent,
)
from llmgw.canonical.parts import (
    NOTHING,
    CacheMark,
    Citation,
    Inline,
    Json,
    Link,
    Media,
    Native,
    NativePart,
    Part,
    PlainText,
    Refusal,
    Source,
    Stored,
    Text,
    Thought,
    ToolCall,
    ToolResult,
)
from llmgw.canonical.request import Chat, Effort, JsonFormat, Message, NativeTool, Reasoning, Tool, ToolChoice
from llmgw.canonical.usage import Usage

__all__ = [
    "NOTHING",
    "Answer",
    "CacheMark",
    "Chat",
    "Choice",
    "Citation",
    "CitationDelta",
    "Effort",
    "Embed",
    "Embeddings",
    "End",
    "Event",
    "Failure",
    "Finish",
    "FinishEvent",
    "Inline",
    "Json",
    "JsonFormat",
    "Link",
    "Media",
    "MediaDelta",
    "Message",
    "Native",
    "NativeDelta",
    "NativePart",
    "NativeTool",
    "Part",
    "PlainText",
    "ProviderError",
    "Reason",
    "Reasoning",
    "Refusal",
    "RefusalDelta",
    "Source",
    "Start",
    "Stored",
    "Text",
    "TextDelta",
    "Thought",
    "ThoughtDelta",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolDelta",
    "ToolResult",
    "Usage",
    "UsageEvent",
]
