"""Brings Python's logging to the writer: every logger of the process, ours and others', in one form.

A failure that has a name of ours (`CallError`, `OperatorError`: an outage, a refusal) is one sentence, whoever
logs it and how; only what nobody foresaw carries its traceback, as one field of its line.
"""

from __future__ import annotations

import logging
import os
import select
from traceback import format_exception
from typing import Protocol

from llmgw.errors import CallError, OperatorError
from llmgw.telemetry.lines import Entry, Message, encode


class Taker(Protocol):
    """Makes a line of an entry, sooner or later; never waits and never raises."""

    def offer(self, entry: Entry) -> None: ...


class DirectWriter:
    """Writes each line at once: for a process that says little and must have no second thread.

    A line that would have to wait for its reader is dropped.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def offer(self, entry: Entry) -> None:
        try:
            if select.select([], [self._descriptor], [], 0)[1]:
                os.write(self._descriptor, encode(entry))
        except OSError:
            return  # the reader has gone, or the disk is full


class JsonHandler(logging.Handler):
    """Hands log records to a writer; formats their text at once, for arguments may change later."""

    def __init__(self, writer: Taker) -> None:
        super().__init__()
        self._writer = writer
        self._before: tuple[list[logging.Handler], int] = ([], logging.WARNING)

    def install(self, level: int) -> None:
        """Become the only handler of the root logger; Python's warnings come here as well."""
        root = logging.getLogger()
        self._before = (root.handlers[:], root.level)
        root.handlers[:] = [self]
        root.setLevel(level)
        logging.captureWarnings(True)

    def remove(self) -> None:
        """Leave the root logger as `install` found it."""
        logging.captureWarnings(False)
        root = logging.getLogger()
        handlers, level = self._before
        root.handlers[:] = handlers
        root.setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        text = _text(record)
        traceback = None
        error = record.exc_info[1] if record.exc_info is not None else None
        if isinstance(error, CallError):
            text += f": {error.detail or error.message}"
        elif isinstance(error, OperatorError):
            text += f": {error}"
        elif error is not None:
            traceback = "".join(format_exception(error))
        self._writer.offer(
            Message(
                time=record.created,
                level=record.levelno,
                logger=record.name,
                text=text,
                request_id=getattr(record, "request_id", None),
                traceback=traceback,
            )
        )


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - a careless log call must not fail what it reports on
        return f"{record.msg} (its arguments do not fit: {error!r})"
