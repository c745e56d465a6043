"""Every dialect there is, by name; stateless, so one of each serves the process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.dialects.anthropic.dialect import Anthropic
from llmgw.dialects.dialect import Dialect
from llmgw.dialects.openai import OpenAI

OPENAI: Final[Dialect] = OpenAI()
ANTHROPIC: Final[Dialect] = Anthropic()
DIALECTS: Final[Mapping[str, Dialect]] = {dialect.name: dialect for dialect in (OPENAI, ANTHROPIC)}
