"""Where a target runs, as far as the configuration says it. Pure.

A provider of Bedrock or Vertex AI names its region; of others it is not known. Bedrock's inference profiles go before
that: a request to `eu.anthropic...` may be served anywhere in the EU, one to `global.anthropic...` anywhere at all
(docs.aws.amazon.com, "Geographic and global cross-Region inference"), so the region is then `eu` or `global`. What an
application's own profile leads to stands nowhere.
"""

from __future__ import annotations

import re
from typing import Final

from llmgw.config import accounts
from llmgw.config.providers import Provider

_profile: Final = re.compile(r"(?:.*/)?(global|us-gov|us|eu|apac|jp|au|ca)\.[a-z0-9]+\.").match


def region(provider: Provider, model: str) -> str | None:
    """The region of a model, by its id there; None where it is not known."""
    if provider.dialect != "bedrock":
        return provider.location
    if "application-inference-profile/" in model:
        return None
    profile = _profile(model)
    return profile[1] if profile is not None else provider.region or accounts.region(provider.base_url or "")
