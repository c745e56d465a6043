"""Sources of an answer: `annotations` of a message, and the lists that Perplexity puts beside the choices.

OpenAI marks from where to where in the text a source is cited; the lists only say what was read, so such a citation
has no place in the text.
"""

from __future__ import annotations

from typing import Final

from llmgw.canonical import Citation, Json, Native
from llmgw.dialects.openai_chat.spelling import NAME, keep, words_of

LISTS: Final = ("search_results", "citations")
_LISTED: Final = "listed"


def listed(native: Native) -> tuple[Citation, ...]:
    """What Perplexity lists, each URL once; `search_results` say more of a source than `citations`."""
    found: dict[str, Citation] = {}
    for name in LISTS:
        values = native.get(name)
        for value in values if type(values) is list else ():
            one = {"url": value} if type(value) is str else value
            if type(one) is not dict or type(one.get("url")) is not str:
                continue
            title, quote = one.get("title"), one.get("snippet")
            found.setdefault(
                one["url"],
                Citation(
                    url=one["url"],
                    title=title if type(title) is str else None,
                    quote=quote if type(quote) is str else None,
                    native=keep({}, {_LISTED: True}),
                ),
            )
    return tuple(found.values())


def is_listed(citation: Citation) -> bool:
    """Whether it stands in a list beside the choices."""
    return _LISTED in words_of(citation.native)


def annotation(citation: Citation, dialect: str, start: int, end: int) -> dict[str, Json] | None:
    """An entry of `annotations`; None where the source has no URL, which this API needs.

    Args:
        dialect: of the answer.
        start: where the cited text begins among all the text of the message.
        end: where it ends, as far as the citation itself does not say.
    """
    if dialect == NAME and citation.native:
        return dict(citation.native)
    if citation.url is None:
        return None
    return {
        "type": "url_citation",
        "url_citation": {
            "url": citation.url,
            "title": citation.title or "",
            "start_index": start + (citation.start or 0),
            "end_index": end if citation.end is None else start + citation.end,
        },
    }
