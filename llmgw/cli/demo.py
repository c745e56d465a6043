"""`llmgw demo`: the whole product with no set-up, in a scratch folder that is removed afterwards."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer

from llmgw.assembly.backend import backend
from llmgw.assembly.installation import Installation
from llmgw.assembly.keys import create_kms
from llmgw.cli import render
from llmgw.config.read import load
from llmgw.control import install, keys
from llmgw.errors import OperatorError
from llmgw.secret import Secret
from llmgw.server.run import run

CONFIGURATION: Final = """\
version: 1
server: {host: 127.0.0.1, port: %d, drain: 1s}
store: {url: "sqlite:///demo.db"}
kms: {provider: local, keyring: ./demo.keyring}
providers:
  simulator: {dialect: simulator, simulator: {first_token: 150ms, tokens_per_second: 40, output_tokens: 24}}
models:
  demo: {targets: [simulator/demo]}
telemetry: {log_level: warning}
"""
_QUESTION: Final = [{"role": "user", "content": "What does a gateway do?"}]


def demo(
    once: Annotated[bool, typer.Option("--once", help="Exit after the two requests.")] = False,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 0,
) -> None:
    """Run the whole product in a scratch folder: a store, a simulated provider, one key, two requests.

    Serves until Ctrl-C, so that you can send requests of your own.

    Example: llmgw demo
    """
    with tempfile.TemporaryDirectory(prefix="llmgw-demo-") as folder:
        path = Path(folder) / "llmgw.yaml"
        path.write_text(CONFIGURATION % port, encoding="utf-8")
        config, _ = load(path)
        store = backend(config, path.parent)
        store.create()
        create_kms(config, path.parent)
        with store.registry() as registry:
            install.init(registry, org="demo")
            key = keys.create(registry, org="demo", name="demo").key
        visitor = _Visitor(key, once=once)
        run(Installation(path, config), visitor.begin)
        visitor.finish()


class _Visitor:
    """Sends the two requests from a thread while the main one serves."""

    def __init__(self, key: Secret, *, once: bool) -> None:
        self._key = key
        self._once = once
        self._url = ""
        self._thread = threading.Thread(target=self._visit, name="demo-visitor")
        self._problem: str | None = "The demo was stopped before its requests were answered."

    def begin(self, url: str) -> None:
        """The gateway accepts requests at `url`."""
        self._url = url
        self._thread.start()

    def finish(self) -> None:
        """Wait for the end; OperatorError if a request failed."""
        if self._thread.ident is not None:
            self._thread.join()
        if self._problem is not None:
            raise OperatorError(self._problem)

    def _visit(self) -> None:
        try:
            with httpx.Client(base_url=self._url, timeout=30, trust_env=False) as client:
                client.headers["authorization"] = f"Bearer {self._key.reveal()}"
                self._ask(client)
                self._ask_streamed(client)
            self._problem = None
        except (httpx.HTTPError, LookupError, ValueError) as error:
            self._problem = f"The demo's request failed: {error}."
        if self._once or self._problem is not None:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self._invite()

    def _ask(self, client: httpx.Client) -> None:
        render.out.print(f"[bold]llmgw[/bold] serves at {self._url}/v1 with a simulated provider.\n")
        render.out.print("[bold]A plain request[/bold]")
        response = client.post("/v1/chat/completions", json={"model": "demo", "messages": _QUESTION})
        answer = response.raise_for_status().json()
        render.out.print("  " + render.text(answer["choices"][0]["message"]["content"]))
        self._show_usage(answer["usage"], response)

    def _ask_streamed(self, client: httpx.Client) -> None:
        render.out.print("\n[bold]A streamed request[/bold]")
        body = {
            "model": "demo",
            "messages": _QUESTION,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        usage: dict[str, Any] = {}
        render.out.print("  ", end="")
        with client.stream("POST", "/v1/chat/completions", json=body) as response:
            response.raise_for_status()
            for line in response.iter_lines():
                if not line.startswith("data: {"):
                    continue
                chunk = httpx.Response(200, text=line[6:]).json()
                usage = chunk.get("usage") or usage
                for choice in chunk["choices"]:
                    render.out.print(render.text(choice["delta"].get("content") or ""), end="")
        render.out.print()
        self._show_usage(usage, response)

    def _show_usage(self, usage: dict[str, Any], response: httpx.Response) -> None:
        render.out.print(
            f"  [dim]{usage['prompt_tokens']} tokens in, {usage['completion_tokens']} out; "
            f"llmgw itself took {response.headers['x-llmgw-overhead-ms']} ms "
            f"({response.headers['x-request-id']})[/dim]"
        )

    def _invite(self) -> None:
        render.out.print(
            "\n[bold]Try it yourself[/bold] (Ctrl-C ends it; nothing is kept)\n"
            f"  export OPENAI_BASE_URL={self._url}/v1 OPENAI_API_KEY={self._key.reveal()}\n"
            f'  curl $OPENAI_BASE_URL/chat/completions -H "authorization: Bearer $OPENAI_API_KEY" \\\n'
            '    -d \'{"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}\''
        )
