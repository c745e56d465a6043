"""The files of deploy/: valid by their schemas, sound by our rules, and true to the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmgw import __version__
from llmgw.config.read import read
from llmgw.server.process import MARGIN_S
from llmgw.server.run import CUT_S

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted(
    path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml"
)
VARIABLE = re.compile(r"\$\{([A-Z_]+)[^}]*\}")


def documents(*paths: Path) -> list[dict[str, Any]]:
    return [one for path in paths for one in yaml.safe_load_all(path.read_text())]


OBJECTS = documents(*MANIFESTS)
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def the(kind: str) -> dict[str, Any]:
    (found,) = [one for one in OBJECTS if one["kind"] == kind]
    return found


POD: dict[str, Any] = the("Deployment")["spec"]["template"]
CONTAINER: dict[str, Any] = POD["spec"]["containers"][0]


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def images() -> list[str]:
    found = [one["image"] for one in SERVICES.values()]
    for manifest in (the("Deployment"), the("Job")):
        found += [one["image"] for one in manifest["spec"]["template"]["spec"]["containers"]]
    return found


@pytest.mark.parametrize("release", ["1.31", "1.37"])
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_manifests_follow_the_schemas_of_kubernetes(manifest: Path, release: str) -> None:
    """Of an old release and a new one; a key that is not known is an error."""
    done = subprocess.run(
        [sys.executable, "-m", "kubernetes_validate", "--strict", "-k", release, str(manifest)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_kustomize_takes_every_manifest_but_the_example_of_secrets() -> None:
    """`kubectl apply -k` applies what is here, and never an empty secret."""
    resources = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())["resources"]
    assert {path.name for path in MANIFESTS} - set(resources) == {"secret.example.yaml"}


@pytest.mark.parametrize("image", images())
def test_images_are_of_a_named_release(image: str) -> None:
    """Not whatever is the latest; ours is of this version."""
    name, _, tag = image.rpartition(":")
    assert re.match(r"\d+\.\d+", tag), image
    if name == "llmgw":
        assert tag == __version__


def test_probes_ask_for_paths_that_exist() -> None:
    """A path that is misspelt would be answered by nobody."""
    code = (ROOT / "llmgw" / "server" / "health.py").read_text()
    paths = {
        probe: CONTAINER[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    for path in (*paths.values(), POD["metadata"]["annotations"]["prometheus.io/path"]):
        assert f'"{path}"' in code
    assert paths["readinessProbe"] == "/health/readiness"
    assert paths["livenessProbe"] == paths["startupProbe"] == "/health/liveness"


def test_a_pod_has_the_time_to_drain() -> None:
    """preStop, the drain, the last error events, and what the supervisor adds are within the grace period."""
    settings = yaml.safe_load(the("ConfigMap")["data"]["llmgw.yaml"])
    stop_s = float(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    needed_s = stop_s + seconds(settings["server"]["drain"]) + CUT_S + MARGIN_S
    assert POD["spec"]["terminationGracePeriodSeconds"] >= needed_s
    probe = CONTAINER["readinessProbe"]
    assert stop_s >= probe["periodSeconds"] * probe["failureThreshold"]


def test_compose_gives_a_gateway_the_time_to_drain() -> None:
    """Docker kills after stop_grace_period."""
    drain_s = seconds(yaml.safe_load((DEPLOY / "llmgw.yaml").read_text())["server"]["drain"])
    for name in ("gateway-1", "gateway-2"):
        assert seconds(SERVICES[name]["stop_grace_period"]) >= drain_s + CUT_S + MARGIN_S


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_pods_run_with_the_least_that_they_need(kind: str) -> None:
    """As the image's user, without capabilities, without a token for the cluster, on a file system that is read-only."""
    pod = the(kind)["spec"]["template"]["spec"]
    (uid,) = re.findall(r"^USER (\d+):", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["runAsGroup"] == int(uid)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"]["memory"]
        assert container["resources"]["limits"]["memory"]


def test_the_keyring_can_be_read_by_the_pod_and_by_nobody_else() -> None:
    """Root's, given to the group that the pod is in: what the gateway accepts (tests/keyring)."""
    (volume,) = [one for one in POD["spec"]["volumes"] if one["name"] == "keyring"]
    assert volume["secret"]["defaultMode"] == 0o440
    assert POD["spec"]["securityContext"]["fsGroup"] == POD["spec"]["securityContext"]["runAsGroup"]


def test_selectors_find_the_pods() -> None:
    """Service, budget and Deployment mean the same pods, and not the migration's."""
    labels = POD["metadata"]["labels"].items()
    job = the("Job")["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        the("Service")["spec"]["selector"],
        the("Deployment")["spec"]["selector"]["matchLabels"],
        the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        POD["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector.items() <= labels
        assert not selector.items() <= job
    assert the("Service")["spec"]["ports"][0]["targetPort"] in {port["name"] for port in CONTAINER["ports"]}
    scaled = the("HorizontalPodAutoscaler")["spec"]
    assert scaled["scaleTargetRef"]["name"] == the("Deployment")["metadata"]["name"]
    assert "replicas" not in the("Deployment")["spec"]


def test_the_autoscaler_goes_by_a_gauge_that_exists() -> None:
    """docs/metrics.md has it."""
    (metric,) = the("HorizontalPodAutoscaler")["spec"]["metrics"]
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert f"| `{metric['pods']['metric']['name']}` | gauge | |" in page


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_volumes_are_mounted_and_what_is_mounted_is_a_volume(kind: str) -> None:
    """And each names a Secret or ConfigMap that is here."""
    pod = the(kind)["spec"]["template"]["spec"]
    volumes = {one["name"]: one for one in pod["volumes"]}
    assert {one["name"] for one in pod["containers"][0]["volumeMounts"]} == set(volumes)
    names = {(one["kind"], one["metadata"]["name"]) for one in OBJECTS}
    for volume in volumes.values():
        if "secret" in volume:
            assert ("Secret", volume["secret"]["secretName"]) in names
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) in names
    for source in pod["containers"][0]["envFrom"]:
        assert ("Secret", source["secretRef"]["name"]) in names


def secret_names() -> set[str]:
    (secret,) = [one for one in OBJECTS if one["kind"] == "Secret" and one["metadata"]["name"] == "llmgw"]
    assert set(secret["stringData"].values()) == {""}
    return set(secret["stringData"])


def test_every_variable_of_a_pod_is_used_by_the_configuration() -> None:
    """And each that the configuration takes is there."""
    text = the("ConfigMap")["data"]["llmgw.yaml"]
    assert set(VARIABLE.findall(text)) == secret_names()


def test_every_variable_of_a_container_is_used_by_the_configuration() -> None:
    """And each that the configuration takes without a default is there."""
    text = (DEPLOY / "llmgw.yaml").read_text()
    given = set(SERVICES["gateway-1"]["environment"])
    assert given <= set(VARIABLE.findall(text))
    assert {name for name in VARIABLE.findall(text) if f"${{{name}}}" in text} <= given


def test_the_example_of_the_environment_has_every_variable_and_no_password() -> None:
    """What is empty there must be set: docker compose says so and starts nothing."""
    lines = [line for line in (DEPLOY / ".env.example").read_text().splitlines() if re.match(r"[A-Z]", line)]
    example = dict(line.split("=", 1) for line in lines)
    compose = (DEPLOY / "docker-compose.yml").read_text()
    assert set(VARIABLE.findall(compose)) == set(example)
    for name, value in example.items():
        if re.search("PASSWORD|API_KEY", name):
            assert value == ""
            assert len(re.findall(rf"\$\{{{name}:\?[^}}]+}}", compose)) == compose.count(f"{{{name}")


def test_only_the_proxy_can_be_reached_from_outside() -> None:
    """Postgres and Redis are in a network without a way out, and publish nothing."""
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"caddy"}
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["inside"]
    assert SERVICES["caddy"]["networks"] == ["outside"]


def test_what_services_name_is_declared() -> None:
    """Volumes, configs, secrets, networks and other services; nothing is declared in vain."""
    for section, key in (("volumes", None), ("configs", "source"), ("secrets", "source"), ("networks", None)):
        named = set()
        for service in SERVICES.values():
            for one in service.get(section, []):
                named.add(one[key] if key is not None else one.partition(":")[0])
        assert {name for name in named if not name.startswith(".")} == set(COMPOSE[section]), section
    for service in SERVICES.values():
        for name, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy" and SERVICES[name]["image"] != f"llmgw:{__version__}":
                assert "healthcheck" in SERVICES[name]


def test_services_that_stay_have_a_health_check() -> None:
    """Of a gateway it is in the image."""
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
    for name in ("postgres", "redis", "caddy"):
        assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize(
    "text", [(DEPLOY / "llmgw.yaml").read_text(), the("ConfigMap")["data"]["llmgw.yaml"]]
)
def test_the_configurations_are_valid(text: str) -> None:
    """As `llmgw config validate` sees them."""
    env = {
        "POSTGRES_URL": "postgresql://u:p@db/llmgw",
        "REDIS_URL": "redis://:p@cache/0",
        **dict.fromkeys(("POSTGRES_PASSWORD", "REDIS_PASSWORD", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"), "x"),
    }
    errors = [str(fault) for fault in read(text, env).faults if fault.severity == "error"]
    assert errors == []
