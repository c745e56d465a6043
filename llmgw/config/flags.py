"""Flags: switches that routes hang on."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from llmgw.config.section import Section


class Flag(Section):
    """A switch that routes can hang on."""

    default: Annotated[bool, Meta(description="Its state until somebody sets it.")] = False
