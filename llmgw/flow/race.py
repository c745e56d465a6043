"""Two tries of one call at once: whose answer begins first has the client, and the other one is broken off.

Each attempt gets an `Entrant` in the place of the client, so that an attempt knows nothing of races. Nothing reaches
the client before one of them commits, and from then on only the winner's bytes do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from llmgw.errors import CallError, ClientGone
from llmgw.ports import Client, Header, Source


class Race:
    """Implements `ports.Source` towards the client."""

    def __init__(self, client: Client, loop: asyncio.AbstractEventLoop) -> None:
        self.client = client
        self.winner: Entrant | None = None
        self.decided: asyncio.Future[None] = loop.create_future()
        self._entrants: list[Entrant] = []
        client.attach(self)

    def enter(self) -> Entrant:
        """One more runner."""
        entrant = Entrant(self)
        self._entrants.append(entrant)
        return entrant

    def won_by(self, winner: Entrant) -> None:
        """`winner` begins its answer: the others end now."""
        if self.winner is winner:
            return
        self.winner = winner
        if not self.decided.done():
            self.decided.set_result(None)
        for entrant in self._entrants:
            if entrant is not winner and entrant.source is not None:
                entrant.source.fail(ClientGone("Another target answered first."))

    def _sources(self) -> list[Source]:
        entrants = self._entrants if self.winner is None else [self.winner]
        return [entrant.source for entrant in entrants if entrant.source is not None]

    def pause(self) -> None:
        for source in self._sources():
            source.pause()

    def resume(self) -> None:
        for source in self._sources():
            source.resume()

    def abandon(self) -> bool:
        goes_on = [source.abandon() for source in self._sources()]
        return True in goes_on

    def fail(self, error: CallError) -> None:
        for source in self._sources():
            source.fail(error)


class Entrant:
    """Implements `ports.Client` for one attempt of a race."""

    def __init__(self, race: Race) -> None:
        self._race = race
        self.source: Source | None = None

    @property
    def gone(self) -> bool:
        race = self._race
        return race.client.gone or (race.winner is not None and race.winner is not self)

    @property
    def started(self) -> bool:
        return self._race.winner is self and self._race.client.started

    def attach(self, source: Source) -> None:
        self.source = source

    def refuse(self, error: CallError) -> None:
        self._race.client.refuse(error)

    def start(self, status: int, headers: Sequence[Header], length: int | None) -> None:
        self._race.won_by(self)
        self._race.client.start(status, headers, length)

    def write(self, data: bytes) -> None:
        if self._race.winner is self:
            self._race.client.write(data)

    def end(self) -> None:
        if self._race.winner is self:
            self._race.client.end()

    def abort(self) -> None:
        if self._race.winner is self:
            self._race.client.abort()
