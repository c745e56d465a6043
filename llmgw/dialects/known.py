"""Every dialect and every codec there is, by name; stateless, so one of each serves the process.

A `Dialect` relays within itself; a `Codec` translates, a `ProviderCodec` towards providers alone. An endpoint that has
a codec can be served by a provider of any dialect, through that provider's own codec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.dialects import openai
from llmgw.dialects.anthropic import codec as anthropic_codec
from llmgw.dialects.anthropic import dialect as anthropic
from llmgw.dialects.bedrock import codec as bedrock_codec
from llmgw.dialects.bedrock import endpoints as bedrock
from llmgw.dialects.codec import Codec, ProviderCodec
from llmgw.dialects.dialect import Dialect, Endpoint
from llmgw.dialects.gemini import codec as gemini_codec
from llmgw.dialects.gemini import dialect as gemini
from llmgw.dialects.openai_chat import codec as chat_codec
from llmgw.dialects.openai_responses import codec as responses_codec

OPENAI: Final[Dialect] = openai.OpenAI()
ANTHROPIC: Final[Dialect] = anthropic.Anthropic()
GEMINI: Final[Dialect] = gemini.Gemini()
DIALECTS: Final[Mapping[str, Dialect]] = {dialect.name: dialect for dialect in (OPENAI, ANTHROPIC, GEMINI)}

CODECS: Final[Mapping[str, Codec]] = {
    openai.CHAT_COMPLETIONS.name: chat_codec.CODEC,
    openai.RESPONSES.name: responses_codec.CODEC,
    anthropic.MESSAGES.name: anthropic_codec.CODEC,
    gemini.GENERATE_CONTENT.name: gemini_codec.CODEC,
    gemini.STREAM_EVENTS.name: gemini_codec.CODEC,
    gemini.STREAM_ARRAY.name: gemini_codec.CODEC,
}
"""By the endpoint's name."""
PLAIN: Final[Mapping[str, Endpoint]] = {
    chat_codec.CODEC.name: openai.CHAT_COMPLETIONS,
    responses_codec.CODEC.name: openai.RESPONSES,
    anthropic_codec.CODEC.name: anthropic.MESSAGES,
    gemini_codec.CODEC.name: gemini.GENERATE_CONTENT,
    bedrock_codec.CODEC.name: bedrock.CONVERSE,
}
"""The endpoint of a provider that a codec writes for, by the codec's name."""
STREAMED: Final[Mapping[str, Endpoint]] = {
    **PLAIN,
    gemini_codec.CODEC.name: gemini.STREAM_EVENTS,
    bedrock_codec.CODEC.name: bedrock.CONVERSE_STREAM,
}
"""The same for a stream."""
OF_PROVIDERS: Final[Mapping[str, ProviderCodec]] = {
    OPENAI.name: chat_codec.CODEC,
    ANTHROPIC.name: anthropic_codec.CODEC,
    GEMINI.name: gemini_codec.CODEC,
    bedrock_codec.CODEC.name: bedrock_codec.CODEC,
}
"""How providers are written to, by the dialect of their host, where the configuration does not say."""
