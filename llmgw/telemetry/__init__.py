"""STUB"""
from llmgw.ports import CallRecord
import sys, msgspec, collections, logging
class Telemetry:
    def __init__(self, settings): self.c=collections.Counter(); self.n=0; logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr)
    def __enter__(self): return self
    def __exit__(self,*a): pass
    def began(self): self.n+=1
    def offer(self,r):
        self.n-=1; self.c[r.status]+=1
        print(msgspec.json.encode({"event":"call",**{f:getattr(r,f) for f in CallRecord.__struct_fields__}}).decode(), file=sys.stderr, flush=True)
    def refused(self,s): self.c[s]+=1
    def reloaded(self,ok): self.c['reload',ok]+=1
    def render_metrics(self): return repr((self.n,self.c)).encode(),'text/plain'
