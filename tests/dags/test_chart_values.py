"""What may be laid over the values of Airflow's chart: where connections are kept, and who logs people in."""

import inspect
import json
import os
import re
from importlib import import_module
from typing import Any

import kubernetes_validate
import pytest
import yaml

from include.stack.layout import REPOSITORY
from plugins.outside.connections import SOURCES
from plugins.outside.pipeline import variables_beside
from tests.dags.test_outside import AS_SETTINGS, Vault, vault
from tests.kubernetes_clients import rendered

__all__ = ["vault"]

_FOLDER = REPOSITORY / "include/k8s/airflow"
_BASE = yaml.safe_load((_FOLDER / "values.yaml").read_text())
_OVER = sorted(path.name for path in _FOLDER.glob("*.yaml") if path.name != "values.yaml")
_TRY = (_FOLDER.parent / "try.sh").read_text()
_SECRETS = [name for name in _OVER if name.startswith("secrets-")]


def _values(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((_FOLDER / name).read_text())
    return found


def _both(over: Any, under: Any) -> Any:
    """As Helm lays one over the other: mappings are merged, lists are replaced."""
    if not (isinstance(over, dict) and isinstance(under, dict)):
        return over
    return {**under, **{key: _both(value, under.get(key)) for key, value in over.items()}}


@pytest.mark.parametrize("name", _SECRETS)
def test_a_place_for_connections_is_one_that_the_image_has_and_takes_what_it_is_told(name: str) -> None:
    chosen = _values(name)["config"]["secrets"]
    module, _, of = chosen["backend"].rpartition(".")
    backend = getattr(import_module(module), of)
    told = json.loads(chosen["backend_kwargs"])
    assert set(told) <= set(inspect.signature(backend.__init__).parameters)
    # Of a variable it is asked nothing, and reaches nobody for it.
    assert backend(**told).get_variable("retraining_thresholds") is None


@pytest.mark.parametrize("name", _SECRETS)
def test_what_a_connection_says_no_variable_of_the_environment_overrules(name: str) -> None:
    given, before = _told(_both(_values(name), _BASE)), _told(_BASE)
    of_connections = {variable for source in SOURCES for variable in source.gives}
    assert not given & of_connections and given < before
    # Whoever has a key of S3 in a connection needs none beside it.
    assert before - given <= of_connections | {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


@pytest.mark.parametrize("overlay", sorted(path.name for path in (REPOSITORY / "include/k8s/overlays").iterdir()))
@pytest.mark.parametrize("name", _SECRETS)
def test_where_connections_keep_logins_a_task_has_all_of_them_beside_what_config_maps_say(
    name: str, overlay: str, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid = _both(_values(name), _BASE)
    maps = {
        m["metadata"]["name"]: m["data"]
        for m in rendered(_FOLDER.parent / "overlays" / overlay)
        if m["kind"] == "ConfigMap"
    }
    said = [item for one in yaml.safe_load(laid["extraEnvFrom"]) for item in maps[one["configMapRef"]["name"]].items()]
    # As try.sh completes them where S3 is not AWS.
    said += [
        (variable, "http://s3.example:9000")
        for variable in re.findall(
            r"\bRETRAIN_\w+", _TRY.partition("k patch configmap storage")[2].partition("; do")[0]
        )
    ]
    for variable, value in [*said, *((variable, "told") for variable in _told(laid))]:
        if variable.startswith("RETRAIN_"):
            monkeypatch.setenv(variable, value)
    had = {variable: os.environ.get(variable) or variables_beside().get(variable) for variable in AS_SETTINGS}
    ours = {variable for variable, value in said if variable in AS_SETTINGS}
    assert had == AS_SETTINGS | {variable: value for variable, value in said if variable in ours}
    assert ours == {"RETRAIN_MLFLOW_URL", "RETRAIN_FACESERVE_REPLICAS", "RETRAIN_S3_ENDPOINT"}, "addresses, no login"


def _told(values: dict[str, Any]) -> set[str]:
    return {one["envName"] for one in values["secret"]} | {one["name"] for one in yaml.safe_load(values["extraEnv"])}


def test_who_reads_connections_of_kubernetes_may_read_secrets_and_change_none() -> None:
    role, binding = yaml.safe_load_all((REPOSITORY / "include/k8s/read-connections.yaml").read_text())
    for manifest in (role, binding):
        kubernetes_validate.validate(manifest, "1.33", strict=True)
    assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]
    # Who runs tasks, and the chart's api-server, which tasks in pods ask.
    running = {_BASE[part]["serviceAccount"]["name"] for part in ("scheduler", "triggerer")}
    assert {one["name"] for one in binding["subjects"]} == {*running, "airflow-api-server"}


@pytest.mark.parametrize("name", sorted(set(_OVER) - set(_SECRETS)))
def test_with_another_login_no_api_server_waits_for_passwords_of_the_simple_one(name: str) -> None:
    laid = _both(_values(name), _BASE)
    assert "Simple" not in laid["config"]["core"]["auth_manager"]
    server = laid["apiServer"]
    assert "passwords" not in str(server["args"]) and server["extraVolumes"] == server["extraVolumeMounts"] == []
    # What is ours stays.
    assert laid["config"]["core"]["dags_folder"] == _BASE["config"]["core"]["dags_folder"]
    assert server["resources"] == _BASE["apiServer"]["resources"]


@pytest.mark.parametrize("name", _OVER)
def test_the_runbook_says_when_to_lay_it_over(name: str) -> None:
    assert f"`include/k8s/airflow/{name}`" in (REPOSITORY / "include/runbook.md").read_text()
    assert "password:" not in (_FOLDER / name).read_text().lower()
