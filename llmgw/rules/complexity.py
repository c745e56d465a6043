"""How hard a prompt is, guessed from what it looks like: for sending simple ones to a cheap model. Pure.

A sum of a few features, each of which is shown with what it added, so that a decision can be explained and argued with:
the length of what was said last, words that ask for thinking or for routine, code, formulas, how many things are asked
at once, and what comes along with it. Nothing is learned and no model is asked. The words are English; of other
languages only the rest counts, which makes short ones look simple. `docs/routing.md` has what was measured.

Of a long text its beginning and its end are looked at, where the task usually stands.
"""

from __future__ import annotations

from math import log2
from typing import Final

from msgspec import Struct

from llmgw.canonical.traits import Prompt, Shape

LOOKED_AT: Final = 640
"""Bytes of the beginning, and of the end."""

_HARD: Final = {
    word.encode(): points
    for points, words in (
        (
            3,
            "prove proof derive theorem lemma integral eigenvalues refactor debug diagnose optimize optimise minimise "
            "minimize maximise maximize algorithm pseudocode architecture tradeoff tradeoffs critique concurrency "
            "concurrent traceback compiler parser deadlock asymptotic hypotheses hypothesis",
        ),
        (
            2,
            "analyze analyse analysis compare contrast evaluate assess discuss design implement investigate justify "
            "strategy strategies migration migrate plan proposal reasoning complexity irrational benchmark tests "
            "assumptions consequences methodology essay recommend scalable distributed consistency statistical "
            "projections liabilities review backwards downtime propose compute solve regression equation equations "
            "objections argument probability generalise generalize thread safe root cause",
        ),
        (
            1,
            "explain why how step steps detailed comprehensive thorough implications risks alternatives edge cases "
            "function class query sql code script program write build create develop consider carefully consistent "
            "requirements constraints options model research report outline depth walk interpret show",
        ),
    )
    for word in words.split()
}
_ROUTINE: Final = (
    "hi hello hey thanks thank bye translate classify classification spell spelling grammar synonym synonyms antonym "
    "capital who when where weather convert extract label tag detect lowercase uppercase rephrase rewrite shorten "
    "summarize summarise title name names list one word yes no short brief sentence joke sentiment spam random count "
    "year date today tomorrow"
)
_EASY: Final = frozenset(word.encode() for word in _ROUTINE.split())
_VOCABULARY: Final = frozenset(_HARD) | _EASY
_LOWER: Final = bytes(
    byte + 32 if 65 <= byte <= 90 else byte if 97 <= byte <= 122 or byte > 127 else 32 for byte in range(256)
)
"""Of ASCII small letters remain, all else parts words."""
_WORDY: Final = bytes(byte for byte in range(256) if chr(byte).isalnum() or byte > 127 or byte in b" .'\"-:/")
"""What is neither code nor formula; without it, a text is short enough to be counted through."""
_CODE: Final = b"{}[]();=<>_"
_CODE_SIGNS: Final = 8
"""So many of them are more than prose has."""
_POINT: Final = 0.1
"""What a word that asks for thinking adds, for each of its points."""


class Complexity(Struct, frozen=True):
    """A score from 0 to 1, and what each feature that had a part in it added."""

    score: float
    features: dict[str, float]

    def __str__(self) -> str:
        """`0.42 (words +0.24, length +0.18)`, the largest first."""
        parts = sorted(self.features.items(), key=lambda one: -abs(one[1]))
        said = ", ".join(f"{name} {value:+.2f}" for name, value in parts)
        return f"{self.score:.2f} ({said or 'nothing of note'})"


def classify(prompt: Prompt, shape: Shape) -> Complexity:
    """How hard a request seems."""
    text = prompt.text.encode("utf-8", "surrogatepass")
    size = len(text)
    seen = text if size <= 2 * LOOKED_AT else text[:LOOKED_AT] + b" " + text[-LOOKED_AT:]
    features: dict[str, float] = {}
    if size > 64:
        features["length"] = min(0.06 * log2(size / 64), 0.5)
    hard = easy = 0
    for word in _VOCABULARY.intersection(seen.translate(_LOWER).split()):
        points = _HARD.get(word)
        if points is None:
            easy += 1
        else:
            hard += points
    if hard:
        features["thinking"] = min(_POINT * hard, 0.7)
    if easy:
        features["routine"] = -min(0.08 * easy, 0.24)
    signs = seen.translate(None, _WORDY)
    if b"```" in signs or len(signs) - len(signs.translate(None, _CODE)) >= _CODE_SIGNS:
        features["code"] = 0.25
    if b"^" in signs or signs.count(b"\\") > 1:
        features["formulas"] = 0.15
    parts = len(signs) - len(signs.translate(None, b",;\n?"))
    if parts > 2:
        features["parts"] = min(0.02 * (parts - 2), 0.15)
    if prompt.context_bytes > 2048:
        features["context"] = min(0.05 * log2(prompt.context_bytes / 2048), 0.3)
    if shape.tools:
        features["tools"] = 0.15
    if shape.images:
        features["images"] = 0.1
    return Complexity(min(max(sum(features.values()), 0.0), 1.0), features)
