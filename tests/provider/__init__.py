"""An upstream provider to test against: a real process on real sockets that can misbehave at byte level.

It shares no code with llmgw, uvicorn or httptools. It replays recordings of `../shared/fixtures` where they
are present and answers every endpoint from hand-written bodies where not. `provider` is the pytest fixture
(one process per test session, reset before each test):

    def test_relays(provider):
        client = openai.OpenAI(base_url=provider.url + "/v1", api_key="k")   # or the gateway in between
        client.chat.completions.create(model="any", messages=[...])
        seen = provider.last()
        seen.method, seen.target, seen.header("authorization"), seen.body, seen.json()

What a request is answered with
- its model, where that is the id of a recording: `model="openai/" + recording.id` through a gateway. What
  must come back byte for byte: `load(id).answer(style).body`, `style` being `odd` unless chosen;
- otherwise the canned answer of its endpoint, streamed where the body says `stream: true`:
  `canned.answer("/v1/chat/completions", request).body`.

How it is answered: a behaviour of `behaviours.BEHAVIOURS`, with options (see the top of that module), chosen
- by the base URL: `provider.base_url("answer", chunking="byte") + "/v1"`, `base_url("cut-mid-event-rst")`;
- or by a script for the next requests, whatever their URL:

    provider.script("stale", times=2)                          # the second on a connection meets a closed one
    provider.script("answer", status=429)                      # retry-after and the dialect's error body
    provider.script("stall", path="/v1/messages")              # three events, then silence
    provider.script("gate", path="/chat")                      # three events, then waits for ...
    provider.release()                                         # ... this
    provider.script(steps=[Send(b"HTTP/1.1 200 OK\\r\\n"), Rst()])  # anything else, step by step

What the server saw: `seen()`, `last()`: raw head and body, connection number (keep-alive reuse), `written`
(bytes the client's TCP took: back-pressure), `closed_at`, `closed_by`, `reset` (aborts; `time.monotonic()`):

    client.abort(); at = time.monotonic()
    closed = await eventually(lambda: provider.last().closed_at)      # wait_until(...) outside an event loop
    assert closed - at < 0.1

Other addresses: `provider.tls_url()` (https on localhost; trusted with SSL_CERT_FILE=provider.ca_file),
`tls_url("self-signed" | "wrong-host" | "expired")`, and from `sockets`: `closed_port()` refuses,
`blackhole_port()` never answers a SYN. `running()` starts a process of one's own, `Server.listening()` serves
inside the test's own event loop.
"""

from tests.provider.behaviours import BEHAVIOURS
from tests.provider.client import Provider, eventually, running, wait_until
from tests.provider.recordings import Answer, Recording, load, select
from tests.provider.records import Seen
from tests.provider.server import Server
from tests.provider.sockets import blackhole_port, closed_port
from tests.provider.steps import Fin, Flood, Gate, Hang, Rst, Send, Step, Wait

__all__ = [
    "BEHAVIOURS",
    "Answer",
    "Fin",
    "Flood",
    "Gate",
    "Hang",
    "Provider",
    "Recording",
    "Rst",
    "Seen",
    "Send",
    "Server",
    "Step",
    "Wait",
    "blackhole_port",
    "closed_port",
    "eventually",
    "load",
    "running",
    "select",
    "wait_until",
]
