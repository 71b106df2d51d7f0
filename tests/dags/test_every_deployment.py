"""What tasks need, each way to install it sets up: the local stack, containers, and every overlay of Kubernetes."""

import json
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.sdk.exceptions import AirflowFailException

from dags.model_retraining import model_retraining
from include.docker import migrate
from include.stack import own_tables, services
from include.stack.airflow_api import AirflowApi
from include.stack.executor import POOLS
from include.stack.layout import REPOSITORY, buckets, environment, load_or_create
from plugins.outside.connections import SOURCES
from tests.dags.test_dags import ALL
from tests.kubernetes_clients import copied, rendered

_K8S = REPOSITORY / "include/k8s"
_OVERLAYS = sorted(path.name for path in (_K8S / "overlays").iterdir())
_COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())["services"]
_VALUES = yaml.safe_load((_K8S / "airflow/values.yaml").read_text())
_TRY = (_K8S / "try.sh").read_text()
_DIGEST = "@sha256:" + "ab" * 32

# What the chart gives its parts under these names, from the Secrets that its values name or from its own Service.
_OF_THE_CHART = {
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "metadataSecretName",
    "AIRFLOW__CORE__FERNET_KEY": "fernetKeySecretName",
    "AIRFLOW__API__SECRET_KEY": "apiSecretKeySecretName",
    "AIRFLOW__API_AUTH__JWT_SECRET": "jwtSecretName",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "",
    "AIRFLOW__API__HOST": "",
    "AIRFLOW__API__PORT": "",
}
# Why the scheduler in the cluster lacks what it has in containers.
_NOT_IN_THE_CLUSTER = {
    "AIRFLOW__CELERY__BROKER_URL": "pods instead of workers",
    "AIRFLOW__CELERY__RESULT_BACKEND": "pods instead of workers",
    "AIRFLOW_URL": "what asks for health in compose; the chart has probes of its own",
    "AWS_EC2_METADATA_DISABLED": "there the cloud may give rights",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "empty: there are no spans",
    "RETRAIN_EXPORTER_OUTBOXES": "the exporter's; there the services whose outboxes these are are other people's",
    "RETRAIN_LOG_FORMAT": "as by default",
    "RETRAIN_SIGNING_KEY": "training pods have it",
    "RETRAIN_BACKBONE": "as by default",
}
# The Job's or whoever installs it does what these do; where each is said.
_ONE_SHOTS = {
    "migrate": ("set-up", "Job"),
    "signing-keys": ("model-signing-key", "Secret"),
    "door-tokens": ("faceserve", "Secret"),
    "accounts": ("include.stack.accounts", "the runbook"),
    "first-model": ("first-model", "CronJob"),
}


@cache
def _manifests(overlay: str) -> list[dict[str, Any]]:
    return rendered(_K8S / "overlays" / overlay)


def _data(manifests: list[dict[str, Any]], *names: str) -> dict[str, str]:
    maps = {m["metadata"]["name"]: m["data"] for m in manifests if m["kind"] == "ConfigMap"}
    return {key: value for name in names for key, value in maps[name].items()}


def _in_the_cluster(overlay: str) -> dict[str, str]:
    """Of Airflow's scheduler; a secret is where it comes from."""
    given = {one["configMapRef"]["name"] for one in yaml.safe_load(_VALUES["extraEnvFrom"])}
    single = [*yaml.safe_load(_VALUES["extraEnv"]), *_VALUES["scheduler"]["env"]]
    config = {
        f"AIRFLOW__{section}__{key}".upper(): str(value)
        for section, members in _VALUES["config"].items()
        for key, value in members.items()
    }
    (patched,) = re.findall(r"configmap storage --patch .*for name in ([\w ]+);", _TRY)
    return {
        **dict.fromkeys(patched.split(), "$S3_ENDPOINT"),
        **config,
        **_data(_manifests(overlay), *given),
        **{one["envName"]: one["secretName"] for one in _VALUES["secret"]},
        **{one["name"]: one.get("value", one["name"]) for one in single},
        **{name: ({**_VALUES, **_VALUES["data"]}[key] if key else name) for name, key in _OF_THE_CHART.items()},
    }


def _in_containers() -> dict[str, str]:
    defaults = re.findall(r"^(\w+)=(.*)$", (REPOSITORY / "include/docker/defaults.env").read_text(), re.MULTILINE)
    return {**dict(defaults), **_COMPOSE["airflow-scheduler"]["environment"]}


def _of_tasks(tmp_path: Path) -> dict[str, dict[str, str]]:
    """By installation, the variables of what runs tasks."""
    return {
        "local": environment(load_or_create(tmp_path, preferred=False)),
        "compose": _in_containers(),
        **{overlay: _in_the_cluster(overlay) for overlay in _OVERLAYS},
    }


def _set_up_job(overlay: str) -> dict[str, Any]:
    (job,) = [m for m in _manifests(overlay) if m["kind"] == "Job"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


class MadeHere:
    """What was made, by whom it was asked for; nothing outside is reached."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pools: dict[str, Any] = {}
        self.databases: set[str] = set()
        for name in ("roles", "demand_superuser", "demand_entry", "buckets", "models", "logins", "mlflow"):
            monkeypatch.setitem(migrate.STEPS, name, lambda: None)
        monkeypatch.setattr(migrate, "hand_over", lambda _: None)
        monkeypatch.setattr(migrate, "migrate", lambda _, folder: self.databases.add(folder.name))
        monkeypatch.setattr(migrate, "grant", lambda *_: None)
        monkeypatch.setattr(own_tables, "_run", self._run)

    def _run(self, words: list[str], _variables: object) -> None:
        if words[1:3] == ["pools", "import"]:
            self.pools = json.loads(Path(words[-1]).read_text())


def _set_up(where: str, made: MadeHere, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As its one-shot does, with its words and its variables."""
    if where == "local":
        stack = load_or_create(tmp_path, preferred=False)
        monkeypatch.setattr(AirflowApi, "pool", lambda _, name, rules: made.pools.update({name: rules}))
        monkeypatch.setattr(AirflowApi, "health", lambda _: {})
        services.airflow(stack, environment(stack)).finish()
        return
    if where == "compose":
        one_shot = _COMPOSE["migrate"]
        given = one_shot["environment"]
    else:
        one_shot = _set_up_job(where)
        maps = [one["configMapRef"]["name"] for one in one_shot["envFrom"]]
        given = _data(_manifests(where), *maps) | {o["name"]: o.get("value", "given") for o in one_shot["env"]}
    for name, value in given.items():
        with_defaults = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)
        monkeypatch.setenv(name, re.sub(r"\$\{.*?\}", "given", with_defaults))
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "k" * 43 + "=")
    assert one_shot["command"][:3] == ["python", "-m", "include.docker.migrate"]
    migrate.main(one_shot["command"][3:], standalone_mode=False)


@pytest.mark.parametrize("where", ["local", "compose", *_OVERLAYS])
def test_every_pool_that_a_task_waits_in_is_made_and_with_its_slots(
    where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Airflow lets a task whose pool there is not wait for ever, and says so nowhere: a rollback among them."""
    made = MadeHere(monkeypatch)
    _set_up(where, made, monkeypatch, tmp_path)
    wanted = {task.pool for dag in ALL for task in dag.tasks}
    assert {"emergency", "training", "serving_swap"} <= wanted <= set(made.pools)
    assert {name: made.pools[name]["slots"] for name in POOLS} == {name: pool["slots"] for name, pool in POOLS.items()}
    # Our own tables, too; in Kubernetes those of other services are theirs.
    assert "mlops" in made.databases or where == "local"


def test_every_connection_that_tasks_need_is_given_by_every_installation(tmp_path: Path) -> None:
    needed = {name for source in SOURCES if source.needed for name in source.gives}
    for where, variables in _of_tasks(tmp_path).items():
        assert not [name for name in needed if not variables.get(name)], where


def test_the_cluster_gives_airflow_what_containers_do_or_it_is_said_why_not() -> None:
    for overlay in _OVERLAYS:
        missing = set(_in_containers()) - set(_in_the_cluster(overlay))
        assert missing == set(_NOT_IN_THE_CLUSTER), overlay


def test_what_airflow_is_told_twice_it_is_told_the_same() -> None:
    told = {k: v for k, v in _in_containers().items() if re.match("AIRFLOW__(SCHEDULER|WORKERS|METRICS|EXECUTION)", k)}
    for overlay in _OVERLAYS:
        cluster = _in_the_cluster(overlay)
        assert {name: cluster[name] for name in told} == told


def test_logs_of_tasks_go_where_airflow_looks_for_them_and_the_bucket_is_made_or_asked_for() -> None:
    for overlay in _OVERLAYS:
        variables = _in_the_cluster(overlay)
        bucket = variables["AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER"].removeprefix("s3://").partition("/")[0]
        assert bucket in buckets(variables)
    # Airflow's own handler looks for S3 nowhere else.
    assert _in_the_cluster("minikube")["AWS_ENDPOINT_URL_S3"] == "$S3_ENDPOINT"
    assert "buckets" in _set_up_job("minikube")["command"]
    chapter = (REPOSITORY / "include/runbook.md").read_text().partition("\n## Who may do what in S3\n")[2]
    assert f"`{bucket}`" in chapter.partition("\n## ")[0]


@pytest.mark.parametrize("one_shot", sorted(n for n, service in _COMPOSE.items() if service.get("restart") == "no"))
@pytest.mark.parametrize("overlay", _OVERLAYS)
def test_what_compose_does_once_the_cluster_does_as_well(one_shot: str, overlay: str) -> None:
    name, kind = _ONE_SHOTS[one_shot]
    if kind == "the runbook":
        assert f"python -m {name}" in (REPOSITORY / "include/runbook.md").read_text()
    elif kind == "Secret":
        assert re.search(rf"^ *(k create secret generic|secret) {name}\b", _TRY, re.MULTILINE)
    else:
        assert name in {m["metadata"]["name"] for m in _manifests(overlay) if m["kind"] == kind}


# Training


def _with_images(tmp_path: Path, overlay: str, image: str) -> dict[str, str]:
    """Airflow's variables once somebody has said `kustomize edit set image laundry-training=…` in the overlay."""
    path = copied(tmp_path) / "overlays" / overlay / "kustomization.yaml"
    said = yaml.safe_load(path.read_text())
    name, digest = image.split("@")
    others = [one for one in said.get("images", ()) if one["name"] != "laundry-training"]
    said["images"] = [*others, {"name": "laundry-training", "newName": name, "digest": digest}]
    path.write_text(yaml.safe_dump(said))
    return _data(rendered(path.parent), "retraining", "airflow")


def _train_pod(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Any:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    dag = model_retraining("LAUNDRY", None)
    task = dag.get_task("train").prepare_for_execution()
    ti = SimpleNamespace(dag_id="d", task_id="train", run_id="r", try_number=1, max_tries=4, map_index=-1)
    return task, task.build_pod_request_obj({"ti": ti, "dag": dag, "run_id": "r"}, dry_run=True)


@pytest.mark.parametrize(("overlay", "built"), [(o, "-cuda" if o == "gpu-spot" else "") for o in _OVERLAYS])
def test_a_training_starts_in_the_image_that_the_overlay_names_on_gpus_where_it_has_some(
    overlay: str, built: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = f"registry.example/laundry-training{built}{_DIGEST}"
    task, pod = _train_pod(monkeypatch, _with_images(tmp_path, overlay, image))
    assert pod.spec.containers[0].image == task.image == image
    assert ("nvidia.com/gpu" in pod.spec.containers[0].resources.limits) == bool(built)
    # Until then it is the one that `make images` builds for such machines, and refused, because it has no digest.
    begun = _data(_manifests(overlay), "airflow")["RETRAIN_TRAINING_IMAGE"]
    assert begun == f"laundry-training{built}:0.1.0"
    monkeypatch.setenv("RETRAIN_TRAINING_IMAGE", begun)
    with pytest.raises(AirflowFailException, match="by digest"):
        model_retraining("LAUNDRY", None).get_task("train").prepare_for_execution().execute({})


def test_where_images_are_loaded_by_hand_their_tag_is_what_they_are() -> None:
    assert "training=laundry-training:sha256-${id#sha256:}" in _TRY
    assert 'docker tag laundry-training:0.1.0 "$training"' in _TRY and '"$training" laundry-faceserve' in _TRY
