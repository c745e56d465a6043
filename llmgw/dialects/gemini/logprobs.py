"""Gemini's `logprobsResult` against OpenAI's list of tokens, which the neutral model has."""

from __future__ import annotations

from llmgw.canonical import Json
from llmgw.dialects.members import Fault


def read(result: Json, path: str, fault: Fault) -> Json:
    """The tokens of `result` in OpenAI's shape; token ids have no place there."""
    if type(result) is not dict:
        raise fault(path, "an object")
    chosen = result.get("chosenCandidates") or []
    top = result.get("topCandidates") or []
    if type(chosen) is not list or type(top) is not list:
        raise fault(path, "an object with arrays of candidates")
    found = []
    for index, candidate in enumerate(chosen):
        token = _token(candidate, path, fault)
        others = top[index] if index < len(top) else {}
        others = others.get("candidates") or [] if type(others) is dict else None
        if type(others) is not list:
            raise fault(path, "an object with arrays of candidates")
        found.append({**token, "top_logprobs": [_token(one, path, fault) for one in others]})
    return found


def _token(candidate: Json, path: str, fault: Fault) -> dict[str, Json]:
    if type(candidate) is not dict:
        raise fault(path, "an object of candidates that are objects")
    token, probability = candidate.get("token", ""), candidate.get("logProbability", 0)
    if type(token) is not str or type(probability) not in (int, float):
        raise fault(path, "an object of candidates with a token and its logProbability")
    return {"token": token, "logprob": probability, "bytes": list(token.encode("utf-8", "replace"))}


def write(tokens: Json) -> dict[str, Json]:
    """OpenAI's list as a `logprobsResult`."""
    chosen, top = [], []
    for token in tokens:
        chosen.append(_candidate(token))
        top.append({"candidates": [_candidate(one) for one in token.get("top_logprobs") or ()]})
    result: dict[str, Json] = {"chosenCandidates": chosen}
    if any(one["candidates"] for one in top):
        result["topCandidates"] = top
    return result


def _candidate(token: dict[str, Json]) -> dict[str, Json]:
    return {"token": token.get("token"), "logProbability": token.get("logprob")}
