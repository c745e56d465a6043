"""From text to YAML nodes, which know their line; whatever the text, faults and no exception.

PyYAML's own scanner and composer in Python: the C one has other marks and recurses on the C stack. Depth and
length are bounded before its recursion and its speed can hurt. Nothing is constructed, so no tag does anything.
"""

from __future__ import annotations

import re
from typing import Final

import yaml

from llmgw.config.faults import Faults

SIZE_LIMIT: Final = 1024 * 1024
"""Bytes; some twenty thousand lines. Each MiB takes seconds to read."""

DEPTH_LIMIT: Final = 32
"""Levels of nesting; the schema has seven."""

IMPLICIT: Final = ""
"""The tag of a node that was written without one: what it means is for the schema to say."""

# What PyYAML quotes from the text in these messages may be a secret that begins with * or &.
_quoted_name: Final = re.compile(r"(alias|anchor|tag handle) '[^']*'")


class _Loader(yaml.SafeLoader):
    """Composes nodes to a bounded depth. Only a tag that was written stays on a node."""

    _depth = 0

    def resolve(self, kind: object, value: object, implicit: object) -> str:
        return IMPLICIT

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # types-pyyaml leaves it out
            raise yaml.MarkedYAMLError(
                problem=f"nested more than {DEPTH_LIMIT} levels deep", problem_mark=mark
            )
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def compose(text: str, faults: Faults) -> yaml.MappingNode | None:
    """The mapping that `text` is; None, and a fault, where it is none."""
    start = yaml.Mark("", 0, 0, 0, None, 0)
    if len(text) > SIZE_LIMIT:
        faults.error(start, (), f"is larger than {SIZE_LIMIT // 1024} KiB; is it a configuration?")
        return None
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        mark = _mark(text, error.position)
        faults.error(mark, (), f"holds the character U+{error.character:04X}; a configuration is plain text.")
        return None
    try:
        root = loader.get_node() if loader.check_node() else None
        if loader.check_node():
            again = loader.peek_event().start_mark  # type: ignore[no-untyped-call]  # likewise
            faults.error(again, (), "a second document begins here; a configuration is one, without ---.")
    except yaml.MarkedYAMLError as error:
        faults.error(error.problem_mark or start, (), _explained(error))
        return None
    except (ValueError, OverflowError):
        # PyYAML converts the numbers of \U escapes and of %YAML lines without looking at them.
        faults.error(loader.get_mark(), (), "is not valid YAML here: an escape or a number is out of range.")
        return None
    finally:
        loader.dispose()
    if root is None:
        faults.error(start, (), "is empty; begin with version: 1.")
        return None
    if not isinstance(root, yaml.MappingNode):
        faults.error(root.start_mark, (), "must be a mapping that begins with version: 1.")
        return None
    return root


def _explained(error: yaml.MarkedYAMLError) -> str:
    said = ": ".join(part for part in (error.context, error.problem) if part)
    said = _quoted_name.sub(r"\1", said)
    if r"'\t'" in said:
        return f"is not valid YAML here: {said}; indent with spaces, not with tabs."
    return f"is not valid YAML here: {said}; look at the indentation, brackets and quotes."


def _mark(text: str, index: int) -> yaml.Mark:
    line_start = text.rfind("\n", 0, index) + 1
    return yaml.Mark("", index, text.count("\n", 0, index), index - line_start, None, 0)
