"""Flags and OpenFeature, both ways: our flags for programs that ask through its API, other providers' for us."""

from __future__ import annotations

from llmgw.features.provider import DOMAIN, GatewayProvider, registered
from llmgw.features.remote import Remote, flagd

__all__ = ["DOMAIN", "GatewayProvider", "Remote", "flagd", "registered"]
