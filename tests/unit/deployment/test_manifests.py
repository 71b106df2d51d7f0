"""The Kubernetes manifests are what Kubernetes accepts, and say what the design asks for."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

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
