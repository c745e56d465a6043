from __future__ import annotations
from typing import NamedTuple
class Address(NamedTuple):
    ip: str
    port: int
async def resolve(host: str, port: int, *, allow_private: bool) -> list[Address]:
    return [Address(host, port)]
