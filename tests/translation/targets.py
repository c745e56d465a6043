"""Whether a body is a request that the target's API takes: by its published description and by its SDK."""

from __future__ import annotations

from typing import Any

from tests.translation import sdk
from tests.translation.corpus import MODELS
from tests.translation.schemas import REQUESTS, complaints


def faults(target: str, body: Any) -> list[str]:
    """What the target has against this request; the model's name of APIs that have it in the URL is put in."""
    found = [f"sdk: {fault}" for fault in sdk.request_faults(target, body)]
    described = {"model": MODELS["gemini"], **body} if target == "gemini" else body
    return found + [f"schema: {fault}" for fault in complaints(REQUESTS[target], described, target)]
