"""The panic switch of one process: a file beside the store, so that it works while the store does not.

A server looks at the file's stamp five times a second. One that cannot be read changes nothing in a process that runs,
and lets a process that starts refuse every call: nobody can say what was meant to be stopped.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from llmgw.errors import OperatorError
from llmgw.stock.panic import PERIOD_S, UNREADABLE, KnownPanic
from llmgw.stock.panic import PanicFile as PanicFile

_log = logging.getLogger("llmgw.panic")


def path_beside(store_path: Path) -> Path:
    """The switch of a store: `llmgw.db` has `llmgw.db.panic`."""
    return store_path.with_name(store_path.name + ".panic")


class PanicWatch(KnownPanic):
    """Implements `ports.Panic` for one process; `run` belongs to its event loop."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = PanicFile(path)
        self._stamp: tuple[int, int, int] | None = None
        try:
            stamp = self._file.stamp()
            self.have(self._file.read())
            # Not before: what could not be read is tried again, also where only its mode was wrong.
            self._stamp = stamp
        except (OperatorError, OSError) as error:
            _log.error("every call is refused: %s", error)
            self.have((UNREADABLE,))

    async def run(self) -> None:
        """Look at the file until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            self.look()

    def look(self) -> None:
        """Read the file again, if it is another one."""
        try:
            stamp = self._file.stamp()
            if stamp == self._stamp:
                return
            entries = self._file.read()
        except (OperatorError, OSError) as error:
            if self._stamp is not None:
                _log.error("panic stays as it is: %s", error)
            self._stamp = None
            return
        self._stamp = stamp
        self.have(entries)
