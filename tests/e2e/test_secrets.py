"""The canary: secrets go down every path there is, and none comes out anywhere but at its destination."""

from __future__ import annotations

import json
import signal
import socket

import httpx

from tests.e2e.conftest import MODELS, UPSTREAM_KEY, providers
from tests.gateway import House
from tests.provider import Provider, wait_until

STORED = "sk-stored-c4nary-7d21f0e9"
ENVIRONMENT = "sk-env-c4nary-11aa22bb"
CLIENT_SIDE = "c4nary-client-cookie-93"


def test_no_secret_comes_out_anywhere(provider: Provider, own_house: House) -> None:
    """Success, every kind of refusal and failure, debug logs, metrics, readiness, CLI output, store files."""
    own_house.env["ENV_KEY"] = ENVIRONMENT
    settings = providers(provider)
    settings["stored"] = {**settings["openai"], "credential": "main"}
    settings["stored"].pop("api_key")
    settings["env"] = {**settings["openai"], "api_key": "${ENV_KEY}"}
    outputs: list[str] = []
    own_house.configure(
        {"version": 1, "providers": settings, "models": MODELS, "telemetry": {"log_level": "debug"}}
    )
    outputs.append(
        own_house.run("credentials", "set", "main", "--org", "acme", "--json", stdin=STORED).stdout
    )
    revoked = own_house.run("keys", "create", "--org", "acme", "--name", "revoked", "--json").json
    own_house.run("keys", "revoke", revoked["id"])
    with own_house.serve() as gateway:
        with httpx.Client(base_url=gateway.url, timeout=20, trust_env=False) as client:
            for behaviour in (
                "answer",
                "garbage",
                "cut-mid-event-fin",
                "redirect",
                "html",
                "401",
                "500",
                "429",
            ):
                for model in ("openai/m", "stored/m", "env/m"):
                    for stream in (False, True):
                        if behaviour.isdigit():
                            provider.script("answer", status=behaviour)
                        else:
                            provider.script(behaviour, times=1)
                        response = client.post(
                            f"/v1/chat/completions?key={CLIENT_SIDE}",
                            headers={**own_house.auth, "cookie": CLIENT_SIDE},
                            json={"model": model, "messages": [], "stream": stream},
                        )
                        outputs += [response.text, str(response.headers)]
                        provider.reset()
            for key in (revoked["key"], own_house.key[:-1] + "x", UPSTREAM_KEY):
                for name in ("authorization", "x-api-key"):
                    value = f"Bearer {key}" if name == "authorization" else key
                    outputs.append(client.post("/v1/messages", headers={name: value}, content=b"{").text)
            for path in ("/metrics", "/readyz", "/healthz", "/nothing"):
                outputs.append(client.get(path, headers=own_house.auth).text)
        with socket.create_connection(gateway.address) as wire:
            wire.sendall(
                f"POST / HTTP/1.1\r\nauthorization: Bearer {own_house.key}\r\nbad header\r\n\r\n".encode()
            )
            outputs.append(wire.recv(65536).decode())
        own_house.config.write_text(own_house.config.read_text() + f"\nbad: {UPSTREAM_KEY}\n")
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "was not reloaded" in gateway.text())
        own_house.configure({"version": 1, "providers": settings, "models": MODELS})
        for command in (
            ["config", "show"], ["config", "validate"], ["keys", "list", "--json"], ["credentials", "list", "--json"],
            ["credentials", "verify", "main", "--org", "acme"], ["kms", "status"], ["kms", "verify", "--json"],
            ["doctor"], ["orgs", "list"],
        ):  # fmt: skip
            done = own_house.run(*command, expect=None)
            outputs += [done.stdout, done.stderr]
        assert gateway.terminate() == 0
        outputs.append(gateway.text())
    everything = "\n".join(outputs)
    for secret in (UPSTREAM_KEY, STORED, ENVIRONMENT, CLIENT_SIDE, own_house.key, revoked["key"]):
        assert secret not in everything, everything[everything.index(secret) - 300 :][:600]
        assert secret[12:] not in everything
    kept = [file for file in own_house.folder.rglob("llmgw*") if file.is_file() and ".db" in file.name]
    assert len(kept) > 1, "the store and the request log"
    for file in [*kept, *own_house.folder.glob("llmgw.db.journal/*")]:
        stored = file.read_bytes()
        for secret in (STORED, own_house.key, revoked["key"]):
            assert secret.encode() not in stored
    assert json.loads(outputs[0])["name"] == "main"
