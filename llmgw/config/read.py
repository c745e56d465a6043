"""STUB"""
from __future__ import annotations
import os, re, yaml, msgspec
from pathlib import Path
from typing import Any
from llmgw.config.schema import Config
from llmgw.errors import ConfigInvalid
from llmgw.secret import Secret
_d=re.compile(r'([0-9.]+)(ms|s|m|h|d)')
def hook(t,o):
    if t is Secret: return Secret(o)
    raise NotImplementedError
def _conv(o,key=None):
    if isinstance(o,dict): return {k:_conv(v,k) for k,v in o.items()}
    if isinstance(o,list): return [_conv(v) for v in o]
    if isinstance(o,str):
        o=re.sub(r'\$\{(\w+)(?::-([^}]*))?\}', lambda m: os.environ.get(m[1], m[2] or ''), o)
        m=_d.fullmatch(o)
        if m and key in ('drain','connect','first_token','idle','total','window','cooldown'): return float(m[1])*{'ms':.001,'s':1,'m':60,'h':3600,'d':86400}[m[2]]
        m=re.fullmatch(r'(\d+)(KiB|MiB)',o)
        if m: return int(m[1])*{'KiB':1024,'MiB':1024**2}[m[2]]
    return o
def load(path: Path, env: Any = os.environ) -> tuple[Config, tuple[Any,...]]:
    try: return msgspec.convert(_conv(yaml.safe_load(path.read_text())), Config, dec_hook=hook), ()
    except (msgspec.ValidationError, OSError) as e: raise ConfigInvalid(str(e)) from e
def check(path: Path, env: Any) -> list[Any]: return []
def dump(config: Config) -> dict[str, Any]: return {}
def json_schema() -> dict[str, Any]: return {}
