"""The Kubernetes manifests are what Kubernetes accepts, and say what the design asks for."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from faceserve.server import LIVE
from faceserve.settings import Settings

_FOLDER = Path(__file__).parents[3] / "include/k8s"
_KUBERNETES = "1.33"


def _manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((_FOLDER / name).read_text()))


@pytest.mark.parametrize("name", sorted(path.name for path in _FOLDER.glob("*.yaml")))
def test_every_manifest_fits_the_schema_of_kubernetes(name: str) -> None:
    for manifest in _manifests(name):
        kubernetes_validate.validate(manifest, _KUBERNETES, strict=True)


def test_a_training_pod_may_not_ask_kubernetes_for_anything() -> None:
    (pod,) = _manifests("train-pod.yaml")
    bound = [s["name"] for m in _manifests("access.yaml") if m["kind"] == "RoleBinding" for s in m["subjects"]]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["serviceAccountName"] not in bound


def test_a_training_pod_saves_its_checkpoint_before_the_spot_node_is_taken() -> None:
    (pod,) = _manifests("train-pod.yaml")
    assert pod["spec"]["terminationGracePeriodSeconds"] < 120


def test_every_container_runs_without_root_and_without_a_writable_image() -> None:
    (pod,) = _manifests("train-pod.yaml")
    (server,) = [m["spec"]["template"] for m in _manifests("faceserve.yaml") if m["kind"] == "StatefulSet"]
    for spec in (pod["spec"], server["spec"]):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert all(c["securityContext"]["readOnlyRootFilesystem"] for c in spec["containers"])


def _server() -> dict[str, Any]:
    (found,) = [m for m in _manifests("faceserve.yaml") if m["kind"] == "StatefulSet"]
    return found


def test_clients_are_sent_to_replicas_with_a_model_and_the_pipeline_to_every_one() -> None:
    services = {m["metadata"]["name"]: m["spec"] for m in _manifests("faceserve.yaml") if m["kind"] == "Service"}
    ports = {name: {port["port"] for port in spec["ports"]} for name, spec in services.items()}
    assert ports == {"faceserve": {8500, 9500}, "faceserve-lifecycle": {8600}}
    assert "publishNotReadyAddresses" not in services["faceserve"]
    assert services["faceserve-lifecycle"]["publishNotReadyAddresses"] is True
    assert _server()["spec"]["serviceName"] == "faceserve-lifecycle"


def test_a_replica_without_a_model_gets_no_requests_and_is_not_restarted_for_it() -> None:
    (container,) = _server()["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["grpc"] == {"port": 8500, "service": "laundry"}
    assert container["livenessProbe"]["grpc"] == container["startupProbe"]["grpc"] == {"port": 8500, "service": LIVE}


def test_the_server_refuses_what_is_too_large_before_the_kernel_kills_it() -> None:
    (container,) = _server()["spec"]["template"]["spec"]["containers"]
    variables = {one["name"]: one.get("value") for one in container["env"]}
    guards = sum(int(variables[f"FACESERVE_{name}_MB"]) for name in ("WARM_MEMORY", "VET_MEMORY", "MAX_QUEUED"))
    photos = 6 * Settings.model_fields["decoded_megapixels"].default
    assert guards + photos < int(container["resources"]["limits"]["memory"].removesuffix("Gi")) * 1024


def test_a_replica_that_ends_is_left_by_its_clients_and_finishes_what_it_has() -> None:
    spec = _server()["spec"]["template"]["spec"]
    waits = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] >= waits + Settings.model_fields["drain_seconds"].default + 5
