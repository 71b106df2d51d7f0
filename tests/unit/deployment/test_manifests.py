"""The Kubernetes manifests, as kustomize renders them: what Kubernetes accepts, and what the design asks for."""

import importlib.metadata
import json
import re
import shlex
import warnings
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml

from faceserve.server import LIVE
from faceserve.settings import Settings
from include.stack.certificates import ASKING, AUTHORITY, CALLERS, CERTIFICATE, KEY, SERVER, TRUSTED
from include.stack.registry_logins import ACCOUNTS, PIPELINE, REPLICA
from tests.kubernetes_clients import copied, rendered
from tests.unit.deployment.replica_memory import most_megabytes

_FOLDER = Path(__file__).parents[3] / "include/k8s"
_WATCHING = _FOLDER.parent / "prometheus"
_BOARDS = _FOLDER.parent / "grafana"
_RUNBOOK = (_FOLDER.parent / "runbook.md").read_text()
_KUBERNETES = "1.33"
_OVERLAYS = sorted(path.name for path in (_FOLDER / "overlays").iterdir())
# Made by whoever installs it (include/k8s/try.sh), because a repository is no place for them.
_MADE_BY_HAND = {
    "Secret": {
        *("faceserve", "retraining", "exporter", "mlflow", "model-signing-key", "grafana"),
        *("airflow", "airflow-metadata", "log-receiver", "set-up"),
    },
    "ConfigMap": {"model-verifying-key"},
}
# What the chart of Airflow makes.
_AIRFLOW = {"tier": "airflow"}
# Its api-server, and where scheduler and triggerer show what they log.
_OF_THE_CHART = {8080, 8793, 8794}
_TRAINING = {"app.kubernetes.io/name": "retraining-train"}
# Of a Service's name, as pods of its own namespace and of others may say it.
_ENDINGS = ("", ".retraining", ".retraining.svc", ".retraining.svc.cluster.local")


@cache
def _all(overlay: str) -> list[dict[str, Any]]:
    return rendered(_FOLDER / "overlays" / overlay)


def _of(overlay: str, kind: str) -> dict[str, dict[str, Any]]:
    return {m["metadata"]["name"]: m for m in _all(overlay) if m["kind"] == kind}


def _train_pod() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((_FOLDER / "train-pod.yaml").read_text())
    return found


def _task_pod() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((_FOLDER / "task-pod.yaml").read_text())
    return found


def _pods(overlay: str) -> dict[str, dict[str, Any]]:
    """Every pod's specification by the name of what makes it, the training pod among them."""
    made = {
        name: {**m["spec"]["template"]["spec"], "labels": m["spec"]["template"]["metadata"]["labels"]}
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job")
        for name, m in _of(overlay, kind).items()
    }
    asked_for = {name: m["spec"]["jobTemplate"]["spec"]["template"] for name, m in _of(overlay, "CronJob").items()}
    return {
        **made,
        **{name: {**one["spec"], "labels": one["metadata"]["labels"]} for name, one in asked_for.items()},
        "training": {**_train_pod()["spec"], "labels": _TRAINING},
        "task": {**_task_pod()["spec"], "labels": _task_pod()["metadata"]["labels"]},
    }


def _containers(overlay: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, container)
        for name, spec in _pods(overlay).items()
        for container in [*spec["containers"], *spec.get("initContainers", ())]
    ]


def _server(overlay: str) -> dict[str, Any]:
    found: dict[str, Any] = _of(overlay, "StatefulSet")["faceserve"]["spec"]
    return found


@pytest.fixture(params=_OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_there_is_an_overlay_for_processors_for_gpus_and_for_one_machine() -> None:
    assert _OVERLAYS == ["cpu", "gpu-spot", "minikube"]


def test_every_manifest_fits_the_schema_of_kubernetes(overlay: str) -> None:
    with warnings.catch_warnings():
        # A kind that the schema does not know is only warned of.
        warnings.simplefilter("error")
        for manifest in [*_all(overlay), _train_pod(), _task_pod()]:
            kubernetes_validate.validate(manifest, _KUBERNETES, strict=True)


def test_everything_is_in_the_namespace_of_this_application(overlay: str) -> None:
    assert {m["metadata"].get("namespace") for m in _all(overlay) if m["kind"] != "Namespace"} == {"retraining"}


def test_a_training_pod_may_not_ask_kubernetes_for_anything(overlay: str) -> None:
    bound = [s["name"] for m in _of(overlay, "RoleBinding").values() for s in m["subjects"]]
    assert _train_pod()["spec"]["automountServiceAccountToken"] is False
    assert _train_pod()["spec"]["serviceAccountName"] not in bound


def test_nobody_may_more_with_kubernetes_than_start_and_watch_training_pods(overlay: str) -> None:
    roles = _of(overlay, "Role")
    assert set(roles) == {"training-pod-launcher", "certificate-keeper"} and not _of(overlay, "ClusterRole")
    launching = roles["training-pod-launcher"]["rules"]
    allowed = {resource: set(rule["verbs"]) for rule in launching for resource in rule["resources"]}
    assert allowed == {
        "pods": {"create", "get", "list", "watch", "patch", "delete"},
        "pods/log": {"get"},
        "events": {"get", "list", "watch"},
    }


def test_a_training_pod_saves_its_checkpoint_before_the_spot_node_is_taken() -> None:
    assert _train_pod()["spec"]["terminationGracePeriodSeconds"] < 120


def test_every_container_runs_without_root_and_without_a_writable_image(overlay: str) -> None:
    for name, spec in _pods(overlay).items():
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        # One makes Secrets.
        assert spec["automountServiceAccountToken"] is (name == "certificates")
        # Kubernetes would give each pod variables such as MLFLOW_PORT, which MLflow reads as a setting of its own.
        assert spec["enableServiceLinks"] is False
    for name, container in _containers(overlay):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True and context["allowPrivilegeEscalation"] is False, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name


def test_every_container_says_what_it_needs_and_no_processor_is_throttled(overlay: str) -> None:
    for name, container in _containers(overlay):
        if name != "training":  # its size comes with the pod, from settings
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
            assert set(container["resources"]["limits"]) == {"memory"}, name


def test_images_are_called_as_they_are_built_or_pulled_by_a_fixed_tag(overlay: str) -> None:
    for name, container in _containers(overlay):
        image = container["image"]
        of_trainings = {"laundry-training:0.1.0", "laundry-training-cuda:0.1.0"}
        ours = image in {
            "laundry-retraining:0.1.0",
            "laundry-faceserve:0.1.0",
            "set-by-the-operator",
            "set-by-the-task",
            *of_trainings,
        }
        assert ours or re.fullmatch(r"(prom|grafana)/[a-z]+:v?\d+\.\d+\.\d+", image), f"{name} runs {image}"


# Secrets


def _references(overlay: str) -> list[tuple[str, str]]:
    """Kind and name of every Secret and ConfigMap that a pod reads."""
    found = []
    for spec in _pods(overlay).values():
        for volume in spec.get("volumes", ()):
            found += [("Secret", volume["secret"]["secretName"])] if "secret" in volume else []
            found += [("ConfigMap", volume["configMap"]["name"])] if "configMap" in volume else []
    for _, container in _containers(overlay):
        for one in container.get("env", ()):
            source = one.get("valueFrom", {})
            found += [("Secret", source["secretKeyRef"]["name"])] if "secretKeyRef" in source else []
        found += [("ConfigMap", one["configMapRef"]["name"]) for one in container.get("envFrom", ())]
    return found


def test_what_a_pod_reads_is_there_or_made_by_hand_and_try_sh_makes_it(overlay: str) -> None:
    script = (_FOLDER / "try.sh").read_text()
    of_certificates = {f"certificates-{owner}" for owner in (SERVER, *CALLERS)}
    for kind, name in _references(overlay):
        if name not in _of(overlay, kind) and name not in of_certificates:
            assert name in _MADE_BY_HAND[kind], f"{kind} {name}"
            assert re.search(rf"\b{name}\b", script), name


def test_no_manifest_holds_a_secret_and_each_is_named_by_its_key(overlay: str) -> None:
    assert not _of(overlay, "Secret")
    text = yaml.safe_dump(_all(overlay))
    assert not re.search(r"://[^/\s:]+:[^@\s]+@", text)
    for name, container in _containers(overlay):
        assert not [one for one in container.get("envFrom", ()) if "secretRef" in one], name
        for one in container.get("env", ()):
            secret = re.search(r"PASSWORD|TOKEN|SECRET|_DSN|AMQP_URL|STORE_URI", one["name"])
            assert not secret or "secretKeyRef" in one["valueFrom"], f"{name}: {one['name']}"


def test_a_training_pod_knows_only_the_secrets_of_a_training() -> None:
    (container,) = _train_pod()["spec"]["containers"]
    secret = {one["name"] for one in container["env"] if "valueFrom" in one}
    assert secret == {"RETRAIN_MLOPS_DSN", "MLFLOW_TRACKING_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def test_mlflow_knows_every_login_a_replica_only_its_own_and_who_writes_the_pipelines(overlay: str) -> None:
    known: dict[str, dict[str, str]] = {}
    for name, container in _containers(overlay):
        said = {one["name"]: one.get("value", one["name"]) for one in container.get("env", ())}
        known.setdefault(name, {}).update(
            {v: how for v, how in said.items() if re.search("^MLFLOW_.*(PASS|USER)|REGISTRY_", v)}
        )
    assert set(known["mlflow"]) == {account.variable for account in ACCOUNTS}
    assert known["faceserve"] == {
        "FACESERVE_REGISTRY_USER": REPLICA.name,
        "FACESERVE_REGISTRY_PASSWORD": "FACESERVE_REGISTRY_PASSWORD",
    }
    writing = {"training", "first-model"}
    assert {known[name]["MLFLOW_TRACKING_USERNAME"] for name in writing} == {PIPELINE.name}
    assert _of(overlay, "ConfigMap")["airflow"]["data"]["MLFLOW_TRACKING_USERNAME"] == PIPELINE.name
    assert not [name for name in known if known[name] and name not in {"mlflow", "faceserve", "task", *writing}]


def test_models_are_signed_and_no_replica_takes_another(overlay: str) -> None:
    training = {one["name"]: one.get("value") for one in _train_pod()["spec"]["containers"][0]["env"]}
    (server,) = _server(overlay)["template"]["spec"]["containers"]
    replica = {one["name"]: one.get("value") for one in server["env"]}
    assert training["RETRAIN_SIGNING_KEY"] == "/keys/signing.pem"
    assert replica["FACESERVE_VERIFYING_KEY"] == "/keys/verifying.pem"
    mounts = {mount["mountPath"] for mount in server["volumeMounts"]}
    assert "/keys" in mounts


def test_what_signs_again_has_the_key_of_trainings_and_may_no_more_than_a_training(overlay: str) -> None:
    training, signing = _pods(overlay)["training"], _pods(overlay)["sign-models"]
    assert signing["labels"] == training["labels"]
    keys = {"secret": {"secretName": "model-signing-key", "defaultMode": 288}}
    assert all({"name": "keys", **keys} in pod["volumes"] for pod in (training, signing))
    (does,), (trains,) = signing["containers"], training["containers"]
    assert does["command"][-1] == "sign-models"
    assert [one for one in does["env"] if one not in trains["env"]] == []
    assert {"name": "RETRAIN_SIGNING_KEY", "value": "/keys/signing.pem"} in does["env"]
    assert "--from=cronjob/sign-models" in _RUNBOOK


def test_what_runs_when_it_is_asked_for_does_not_run_by_itself(overlay: str) -> None:
    asked_for = _of(overlay, "CronJob")
    assert {name: one["spec"]["suspend"] for name, one in asked_for.items()} == {
        "sign-models": True,
        "first-model": True,
    }


# Certificates


def test_who_makes_certificates_may_read_and_change_these_secrets_alone(overlay: str) -> None:
    rules = _of(overlay, "Role")["certificate-keeper"]["rules"]
    owners = [AUTHORITY, SERVER, *CALLERS, ASKING]
    assert rules == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": [f"certificates-{owner}" for owner in owners],
            "verbs": ["get", "patch"],
        },
    ]
    bound = {m["roleRef"]["name"]: m["subjects"] for m in _of(overlay, "RoleBinding").values()}
    assert [one["name"] for one in bound["certificate-keeper"]] == ["certificates"]
    assert _pods(overlay)["certificates"]["serviceAccountName"] == "certificates"


def test_an_access_service_elsewhere_may_read_the_certificate_that_it_shows_and_no_other_secret() -> None:
    role, binding = yaml.safe_load_all((_FOLDER / "read-access-certificate.yaml").read_text())
    for manifest in (role, binding):
        kubernetes_validate.validate(manifest, _KUBERNETES, strict=True)
    (rule,) = role["rules"]
    assert rule == {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": ["certificates-access"],
        "verbs": ["get"],
    }
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert {one["namespace"] for one in binding["subjects"]} == {"access"}
    assert "`kubectl apply -f include/k8s/read-access-certificate.yaml`" in (_FOLDER.parent / "runbook.md").read_text()


def test_half_of_the_replicas_may_change_first(overlay: str) -> None:
    """Applying manifests leaves alone what they do not say: a `partition` that the runbook has somebody set."""
    assert "updateStrategy" not in _of(overlay, "StatefulSet")["faceserve"]["spec"]


def _mounted_certificates(pod: dict[str, Any]) -> dict[str, str]:
    """By where they are mounted, whose they are."""
    owners = {v["name"]: v["secret"]["secretName"] for v in pod.get("volumes", ()) if "secret" in v}
    mounts = {mount["name"]: mount["mountPath"] for one in pod["containers"] for mount in one.get("volumeMounts", ())}
    return {
        mounts[name]: secret.removeprefix("certificates-")
        for name, secret in owners.items()
        if secret.startswith("certificates-")
    }


def _said_of_tls(overlay: str, pod: dict[str, Any]) -> dict[str, str]:
    (container,) = pod["containers"]
    maps = [one["configMapRef"]["name"] for one in container.get("envFrom", ())]
    given = {name: value for one in maps for name, value in _of(overlay, "ConfigMap")[one].get("data", {}).items()}
    given |= {one["name"]: one["value"] for one in container["env"] if "value" in one}
    return {name: value for name, value in given.items() if "FACESERVE_TLS_" in name}


def test_who_changes_models_has_the_pipelines_certificate_and_says_where_it_is(overlay: str) -> None:
    files = {"CA": TRUSTED, "CERTIFICATE": CERTIFICATE, "KEY": KEY}
    wanted = {f"RETRAIN_FACESERVE_TLS_{what}": f"/certificates/{file}" for what, file in files.items()}
    having = {name for name, pod in _pods(overlay).items() if "RETRAIN_FACESERVE_TOKEN" in str(pod)}
    assert having == {"first-model", "task"}
    for name in having:
        assert _mounted_certificates(_pods(overlay)[name]) == {"/certificates": "pipeline"}
        assert _said_of_tls(overlay, _pods(overlay)[name]) == wanted
    # Airflow's parts by its chart, with the variables of ConfigMap `airflow`.
    assert wanted.items() <= _of(overlay, "ConfigMap")["airflow"]["data"].items()
    values = _values()
    pod = {"volumes": values["volumes"], "containers": [{"volumeMounts": values["volumeMounts"]}]}
    assert _mounted_certificates(pod) == {"/certificates": "pipeline"}


def test_replicas_encrypt_every_port_that_is_asked_and_let_in_whom_the_certificates_name(overlay: str) -> None:
    pod = _server(overlay)["template"]["spec"]
    assert _mounted_certificates(pod) == {"/certificates": SERVER}
    files = {"CLIENT_CA": TRUSTED, "CERTIFICATE": CERTIFICATE, "KEY": KEY}
    said = _said_of_tls(overlay, pod)
    assert set(json.loads(said.pop("FACESERVE_TLS_PORTS"))) == {"lifecycle", "inference", "http"}
    assert said == {f"FACESERVE_TLS_{what}": f"/certificates/{file}" for what, file in files.items()}
    others = [n for n, one in _pods(overlay).items() if set(_mounted_certificates(one).values()) & {SERVER, AUTHORITY}]
    assert others == ["faceserve"]


def test_a_replica_is_called_as_its_certificate_says(overlay: str) -> None:
    (maker,) = _pods(overlay)["certificates"]["containers"]
    (names,) = [one["value"].split() for one in maker["env"] if one["name"] == "NAMES"]
    services = [name for name in _of(overlay, "Service") if name.startswith("faceserve")]
    assert set(names) == {f"{name}{ending}" for name in services for ending in _ENDINGS}
    (address,) = yaml.safe_load(_of(overlay, "ConfigMap")["retraining"]["data"]["RETRAIN_FACESERVE_REPLICAS"])
    assert urlsplit(address.replace("dns:///", "//")).hostname in names


# The model server


def test_clients_are_sent_to_replicas_with_a_model_and_the_pipeline_to_every_one(overlay: str) -> None:
    services = {n: m["spec"] for n, m in _of(overlay, "Service").items() if n.startswith("faceserve")}
    ports = {name: {port["port"] for port in spec["ports"]} for name, spec in services.items()}
    assert ports == {"faceserve": {8500, 8700, 9500}, "faceserve-lifecycle": {8600}}
    assert "publishNotReadyAddresses" not in services["faceserve"]
    assert services["faceserve-lifecycle"]["publishNotReadyAddresses"] is True
    assert _server(overlay)["serviceName"] == "faceserve-lifecycle"


def test_the_pipeline_finds_as_many_replicas_as_there_are_ready_or_not(overlay: str) -> None:
    (address,) = yaml.safe_load(_of(overlay, "ConfigMap")["retraining"]["data"]["RETRAIN_FACESERVE_REPLICAS"])
    found = re.fullmatch(r"dns:///([a-z-]+)\.retraining:(\d+)", address)
    assert found
    service = _of(overlay, "Service")[found[1]]["spec"]
    # Without an address of its own the name has those of all pods.
    assert service["clusterIP"] == "None" and service["publishNotReadyAddresses"] is True
    assert {port["port"] for port in service["ports"]} == {int(found[2])}


def _fewest_replicas(overlay: str) -> int:
    scalers = _of(overlay, "HorizontalPodAutoscaler")
    return int(scalers["faceserve"]["spec"]["minReplicas"] if scalers else _server(overlay)["replicas"])


@pytest.mark.parametrize("overlay", ["cpu", "gpu-spot"])
def test_replicas_grow_with_the_load_on_the_processors_that_they_ask_for(overlay: str) -> None:
    scaler = _of(overlay, "HorizontalPodAutoscaler")["faceserve"]["spec"]
    target = scaler["scaleTargetRef"]
    assert _of(overlay, target["kind"])[target["name"]]["apiVersion"] == target["apiVersion"]
    # A number here would take back, at each apply, what the autoscaler did.
    assert "replicas" not in _server(overlay)
    assert 3 <= scaler["minReplicas"] < scaler["maxReplicas"]
    assert [metric["resource"]["name"] for metric in scaler["metrics"]] == ["cpu"]
    # One at a time: the others take over its load before the next goes.
    assert [policy["value"] for policy in scaler["behavior"]["scaleDown"]["policies"]] == [1]


def test_on_one_machine_there_are_two_replicas_and_nothing_that_asks_for_metrics() -> None:
    assert (_fewest_replicas("minikube"), _of("minikube", "HorizontalPodAutoscaler")) == (2, {})


def test_a_replica_without_a_model_gets_no_requests_and_is_not_restarted_for_it(overlay: str) -> None:
    (container,) = _server(overlay)["template"]["spec"]["containers"]
    assert container["readinessProbe"]["grpc"] == {"port": 8400, "service": "laundry"}
    assert container["livenessProbe"]["grpc"] == container["startupProbe"]["grpc"] == {"port": 8400, "service": LIVE}


def test_the_server_refuses_what_is_too_large_before_the_kernel_kills_it(overlay: str) -> None:
    (container,) = _server(overlay)["template"]["spec"]["containers"]
    variables = {one["name"]: one.get("value") for one in container["env"]}
    assert most_megabytes(variables) < int(container["resources"]["limits"]["memory"].removesuffix("Gi")) * 1024
    assert int(variables["FACESERVE_ENGINE_THREADS"]) > 0


def test_a_replica_that_ends_is_left_by_its_clients_and_finishes_what_it_has(overlay: str) -> None:
    spec = _server(overlay)["template"]["spec"]
    waits = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] >= waits + Settings.model_fields["drain_seconds"].default + 5


def test_an_eviction_leaves_replicas_that_serve(overlay: str) -> None:
    for budget in _of(overlay, "PodDisruptionBudget").values():
        assert budget["spec"]["maxUnavailable"] < _fewest_replicas(overlay)


def test_every_server_that_is_asked_over_the_network_says_when_it_is_ready(overlay: str) -> None:
    for name, container in _containers(overlay):
        if container.get("ports"):
            assert "readinessProbe" in container, name


# Who watches


def test_prometheus_asks_what_is_here_and_every_replica_whether_it_serves_or_not(overlay: str) -> None:
    services = {name: service["spec"] for name, service in _of(overlay, "Service").items()}
    jobs = yaml.safe_load(_of(overlay, "ConfigMap")["prometheus"]["data"]["prometheus.yaml"])["scrape_configs"]
    asked = {target.partition(":")[0] for job in jobs for s in job.get("static_configs", ()) for target in s["targets"]}
    assert asked - {"localhost"} <= set(services)
    names = [name for job in jobs for dns in job.get("dns_sd_configs", ()) for name in dns["names"]]
    assert names and all(services[name].get("publishNotReadyAddresses") for name in names)


def test_the_exporter_is_told_whom_it_asks(overlay: str) -> None:
    (container,) = _pods(overlay)["exporter"]["containers"]
    assert {"configMapRef": {"name": "retraining"}} in container["envFrom"]
    told = {one["name"]: one.get("value") for one in container["env"]}
    assert "RETRAIN_EXPORTER_AIRFLOW_URL" in told
    users = _values()["config"]["core"]["simple_auth_manager_users"]
    assert f"{told['RETRAIN_EXPORTER_AIRFLOW_USER']}:viewer" in users.split(",")
    # Who receives the log makes the backups.
    everybody = _of(overlay, "ConfigMap")["retraining"]["data"]
    assert "RETRAIN_EXPORTER_BACKUPS" not in told
    assert ("log-receiver" in _pods(overlay)) == (everybody.get("RETRAIN_EXPORTER_BACKUPS") == "true")
    assert told["RETRAIN_EXPORTER_REPLICAS"] == str(_fewest_replicas(overlay))
    assert "RETRAIN_MLFLOW_URL" in _of(overlay, "ConfigMap")["retraining"]["data"]


def test_airflow_tells_prometheus_of_itself_as_in_compose(overlay: str) -> None:
    told = _of(overlay, "ConfigMap")["airflow"]["data"]
    (watching,) = _pods(overlay)["prometheus"]["containers"]
    assert "--web.enable-otlp-receiver" in watching["args"]
    url = re.fullmatch(r"http://(\w+)(?:\.retraining)?:(\d+)/api/v1/otlp", told["OTEL_EXPORTER_OTLP_ENDPOINT"])
    assert url and int(url[2]) in {p["port"] for p in _of(overlay, "Service")[url[1]]["spec"]["ports"]}
    compose = yaml.safe_load((_FOLDER.parents[1] / "docker-compose.yaml").read_text())["x-airflow-everywhere"]
    names = {name for name in compose if name.startswith(("AIRFLOW__METRICS__", "OTEL_"))}
    others = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}
    assert {name: told.get(name) for name in names - others} == {name: compose[name] for name in names - others}


def _configuration_of(overlay: str, name: str) -> dict[str, dict[str, str]]:
    """The ConfigMaps that the pods of `name` have as files, by their names in this rendering."""
    volumes = _pods(overlay)[name]["volumes"]
    names = [volume["configMap"]["name"] for volume in volumes if "configMap" in volume]
    return {one: _of(overlay, "ConfigMap")[one]["data"] for one in names}


def test_rules_and_routes_in_the_cluster_are_those_of_every_other_installation(overlay: str) -> None:
    told = {**_configuration_of(overlay, "prometheus"), **_configuration_of(overlay, "alertmanager")}
    given = {file: text for data in told.values() for file, text in data.items()}
    files = [*_WATCHING.glob("rules/*.yaml"), _WATCHING / "alertmanager.yaml"]
    assert {path.name: path.read_text() for path in files}.items() <= given.items()


def _readers(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    return {m["metadata"]["name"]: m["spec"]["template"] for m in manifests if "template" in m.get("spec", {})}


@pytest.mark.parametrize(
    ("reader", "edited"),
    [
        ("alertmanager", "prometheus/alertmanager.yaml"),
        *(("prometheus", f"prometheus/rules/{path.name}") for path in sorted(_WATCHING.glob("rules/*.yaml"))),
        *(("grafana", str(path.relative_to(_BOARDS.parent))) for path in sorted(_BOARDS.glob("*/**/*.*"))),
    ],
)
def test_who_reads_only_at_its_start_starts_anew_with_other_files(reader: str, edited: str, tmp_path: Path) -> None:
    """Of pods that are the same Kubernetes restarts none, whatever changed in a ConfigMap that they name."""
    overlay = copied(tmp_path) / "overlays/cpu"
    path = tmp_path / edited
    path.write_text(f"{path.read_text()}# edited\n")
    before, after = _readers(_all("cpu")), _readers(rendered(overlay))
    assert {name for name in after if after[name] != before[name]} == {reader}


def _files_in(overlay: str, name: str) -> dict[str, str]:
    """What the pod of `name` has of ConfigMaps, by where it finds them."""
    pod = _pods(overlay)[name]
    (container,) = pod["containers"]
    maps = {volume["name"]: volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
    mounted = {mount["mountPath"]: maps[mount["name"]] for mount in container["volumeMounts"] if mount["name"] in maps}
    given = {folder: _of(overlay, "ConfigMap")[one]["data"] for folder, one in mounted.items()}
    return {f"{folder}/{file}": text for folder, data in given.items() for file, text in data.items()}


def test_grafana_finds_the_boards_and_their_source_where_it_does_in_containers(overlay: str) -> None:
    root = _FOLDER.parents[1]
    compose = yaml.safe_load((root / "docker-compose.yaml").read_text())["services"]["grafana"]
    folders = [volume.split(":")[:2] for volume in compose["volumes"] if volume.startswith("./")]
    there = {
        f"{target}/{path.relative_to(root / source)}": path.read_text()
        for source, target in folders
        for path in (root / source).rglob("*.*")
        if path.is_file()
    }
    assert len(there) > 4 and _files_in(overlay, "grafana") == there
    assert [one["image"] for one in _pods(overlay)["grafana"]["containers"]] == [compose["image"]]


def test_grafana_may_ask_its_source(overlay: str) -> None:
    (source,) = yaml.safe_load((_BOARDS / "provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    asked = urlsplit(source["url"])
    service = _of(overlay, "Service")[str(asked.hostname)]["spec"]
    assert asked.port in {port["port"] for port in service["ports"]}
    (rule,) = _of(overlay, "NetworkPolicy")["grafana"]["spec"]["egress"]
    assert rule == {"to": [{"podSelector": {"matchLabels": service["selector"]}}], "ports": [{"port": asked.port}]}


def test_grafana_starts_with_a_password_of_ones_own_or_not_at_all(overlay: str) -> None:
    (container,) = _pods(overlay)["grafana"]["containers"]
    told = {one["name"]: one.get("valueFrom", {}) for one in container["env"]}
    assert told["GF_SECURITY_ADMIN_PASSWORD"] == {"secretKeyRef": {"name": "grafana", "key": "GRAFANA_ADMIN_PASSWORD"}}
    assert not [name for name in told if "ANONYMOUS" in name or "SIGN_UP" in name]


def test_receivers_of_ones_own_take_the_place_of_ours_as_the_runbook_says(tmp_path: Path) -> None:
    (recipe,) = re.findall(r"^(resources: .*\nconfigMapGenerator:\n.*)\n```", _RUNBOOK, re.MULTILINE)
    own = copied(tmp_path) / "overlays/own"
    own.mkdir()
    (own / "alertmanager.yaml").write_text("route: {receiver: me}\n")
    (own / "kustomization.yaml").write_text(recipe.replace("PATH/TO/include/k8s/overlays", ".."))
    made = rendered(own)
    (reader,) = [m for m in made if m["metadata"]["name"] == "alertmanager" and m["kind"] == "Deployment"]
    named = {one["configMap"]["name"] for one in reader["spec"]["template"]["spec"]["volumes"] if "configMap" in one}
    found = [m["data"] for m in made if m["kind"] == "ConfigMap" and m["metadata"]["name"] in named]
    assert found == [{"alertmanager.yaml": "route: {receiver: me}\n"}]


@pytest.mark.parametrize(("name", "where"), [("alertmanager", "/alertmanager"), ("grafana", "/var/lib/grafana")])
def test_silences_and_logins_outlive_the_pod_that_took_them(name: str, where: str, overlay: str) -> None:
    pod = _pods(overlay)[name]
    (container,) = pod["containers"]
    kept = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v}
    (volume,) = [mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == where]
    assert kept[volume] in _of(overlay, "PersistentVolumeClaim")
    # Two pods at a time would wait for each other's volume.
    assert _of(overlay, "Deployment")[name]["spec"]["strategy"] == {"type": "Recreate"}


# The network


def test_nobody_talks_to_anybody_but_for_what_is_listed(overlay: str) -> None:
    policies = _of(overlay, "NetworkPolicy")
    assert policies["nobody"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, pod in _pods(overlay).items():
        chosen = [n for n, p in policies.items() if _selects(p["spec"]["podSelector"], pod["labels"])]
        assert set(chosen) > {"nobody", "everybody-asks-for-names"}, f"nothing is allowed for {name}"


def test_a_port_that_somebody_may_reach_is_one_that_is_listened_on(overlay: str) -> None:
    for name, policy in _of(overlay, "NetworkPolicy").items():
        listening = {
            port["containerPort"]
            for pod in _pods(overlay).values()
            if _selects(policy["spec"]["podSelector"], pod["labels"])
            for container in pod["containers"]
            for port in container.get("ports", ())
        }
        allowed = {port["port"] for rule in policy["spec"].get("ingress", ()) for port in rule["ports"]}
        assert allowed <= listening | (_OF_THE_CHART if name == "airflow" else set()), name


def test_a_service_leads_to_ports_that_are_listened_on(overlay: str) -> None:
    for name, service in _of(overlay, "Service").items():
        selector = {"matchLabels": service["spec"]["selector"]}
        chosen = [pod for pod in _pods(overlay).values() if _selects(selector, pod["labels"])]
        assert chosen, name
        for pod in chosen:
            named = {port["name"]: port["containerPort"] for one in pod["containers"] for port in one["ports"]}
            for port in service["spec"]["ports"]:
                target = port.get("targetPort", port["port"])
                assert named.get(target, target) in named.values(), f"{name}: {port}"


def test_the_model_server_listens_where_its_ports_say(overlay: str) -> None:
    (container,) = _server(overlay)["template"]["spec"]["containers"]
    said = {one["name"].lower().removeprefix("faceserve_"): one.get("value") for one in container["env"]}
    settings = Settings.model_validate({n: json.loads(v) if v[0] == "[" else v for n, v in said.items() if v})
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {
        "grpc": settings.grpc_port,
        "http": settings.http_port,
        "lifecycle": settings.lifecycle_port,
        "metrics": settings.metrics_port,
        "health": settings.health_port,
    }


def test_who_asks_for_verdicts_says_so_or_is_airflow_and_only_the_former_over_http(overlay: str) -> None:
    rules = _of(overlay, "NetworkPolicy")["faceserve"]["spec"]["ingress"]
    clients = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"retraining/asks-faceserve": "true"}}}
    asking = {
        port: [one for rule in rules if {"port": port} in rule["ports"] for one in rule["from"]]
        for port in (8500, 8700)
    }
    assert asking == {8500: [clients, {"podSelector": {"matchLabels": _AIRFLOW}}], 8700: [clients]}


def test_who_may_go_to_a_pod_is_let_in_there(overlay: str) -> None:
    policies = {name: policy["spec"] for name, policy in _of(overlay, "NetworkPolicy").items()}
    for name, policy in policies.items():
        for rule in policy.get("egress", ()):
            goes = {port["port"] for port in rule.get("ports", ())}
            for to in (to for to in rule.get("to", ()) if "namespaceSelector" not in to):
                (target,) = [p for p in policies.values() if p["podSelector"] == to["podSelector"]]
                assert goes <= _let_in(target, policy["podSelector"]), f"{name} to {to}"


def _let_in(target: dict[str, Any], asking: dict[str, Any]) -> set[int]:
    """The ports at which `target` lets in the pods that `asking` selects."""
    rules = [rule for rule in target["ingress"] if any(one.get("podSelector") == asking for one in rule["from"])]
    return {port["port"] for rule in rules for port in rule["ports"]}


def test_airflow_shows_the_log_of_what_still_runs(overlay: str) -> None:
    policy = _of(overlay, "NetworkPolicy")["airflow"]["spec"]
    assert _let_in(policy, {"matchLabels": _AIRFLOW}) == _OF_THE_CHART


def test_mail_leaves_at_every_port_that_the_runbook_names(overlay: str) -> None:
    chapter = _RUNBOOK.partition("\n# Being told\n")[2].partition("\n# ")[0]
    named = {int(port) for port in re.findall(r"\bport (\d+)", chapter)}
    assert named == {465, 587}
    for name in ("airflow", "alertmanager"):
        rules = _of(overlay, "NetworkPolicy")[name]["spec"]["egress"]
        assert named <= {port["port"] for rule in rules if "to" not in rule for port in rule["ports"]}


def test_models_are_changed_by_airflow_alone_and_who_enrols_people_has_another_token(overlay: str) -> None:
    rules = _of(overlay, "NetworkPolicy")["faceserve"]["spec"]["ingress"]
    (lifecycle,) = [rule for rule in rules if {"port": 8600} in rule["ports"]]
    enrolling = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"retraining/enrols-people": "true"}}}
    assert lifecycle == {"from": [{"podSelector": {"matchLabels": _AIRFLOW}}, enrolling], "ports": [{"port": 8600}]}
    (server,) = _server(overlay)["template"]["spec"]["containers"]
    tokens = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in server["env"] if one["name"].endswith("_TOKEN")}
    asked = {name: how["key"] for name, how in tokens.items() if not how.get("optional")}
    assert asked == {name: name for name in ("FACESERVE_LIFECYCLE_TOKEN", "FACESERVE_ENROLMENT_TOKEN")}


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


# Airflow


def test_gpus_are_asked_for_where_there_are_some_and_no_more_than_a_training_needs() -> None:
    gpus = {name: _of(name, "ConfigMap")["airflow"]["data"]["RETRAIN_TRAINING_POD_GPUS"] for name in _OVERLAYS}
    assert gpus == {"cpu": "0", "gpu-spot": "2", "minikube": "0"}
    (quota,) = _of("gpu-spot", "ResourceQuota").values()
    assert quota["spec"]["hard"] == {"requests.nvidia.com/gpu": "2"}


def test_the_chart_of_airflow_gets_our_image_no_password_and_a_place_for_every_pool() -> None:
    text = (_FOLDER / "airflow/values.yaml").read_text()
    values = yaml.safe_load(text)
    assert values["images"]["airflow"]["repository"] == "laundry-retraining"
    assert values["executor"] == "LocalExecutor" and values["postgresql"] == {"enabled": False}
    # Each a Secret that exists already: the chart would make up values, others with every upgrade.
    for name in ("fernetKeySecretName", "jwtSecretName", "apiSecretKeySecretName"):
        assert values[name]
    assert values["data"]["metadataSecretName"]
    assert not re.search(r"(?i)^\s*\w*(password|pass|secretkey|fernetkey):\s*\S", text, re.MULTILINE)


def _values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((_FOLDER / "airflow/values.yaml").read_text())
    return found


def test_what_airflow_keeps_of_old_runs_goes_and_is_not_moved_to_other_tables() -> None:
    cleanup = _values()["databaseCleanup"]
    assert cleanup["enabled"] is True and cleanup["skipArchive"] is True
    assert cleanup.get("retentionDays", 90) >= 14


def test_who_logs_people_in_is_part_of_the_image() -> None:
    """The chart's own choice is a provider that the image lacks: no api-server would start, and without it no task."""
    module, _, name = _values()["config"]["core"]["auth_manager"].rpartition(".")
    lock = (_FOLDER.parent / "docker/application.txt").read_text()
    installed = {re.sub(r"[-_.]+", "-", one).lower() for one in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    path = f"{module.replace('.', '/')}.py"
    bringing = {
        one.metadata["Name"]
        for one in importlib.metadata.distributions()
        if one.metadata["Name"].startswith("apache-airflow") and path in {str(file) for file in one.files or ()}
    }
    assert bringing and bringing <= installed
    assert f"class {name}(" in Path(importlib.metadata.distribution(bringing.pop()).locate_file(path)).read_text()


def test_every_api_server_has_the_same_passwords() -> None:
    core, server = _values()["config"]["core"], _values()["apiServer"]
    # Nobody makes logins in tables that this manager does not read.
    assert _values()["createUserJob"] == {"enabled": False}
    (volume,), (mount,) = server["extraVolumes"], server["extraVolumeMounts"]
    assert volume["name"] == mount["name"]
    words = shlex.split(server["args"][-1])
    # A Secret cannot be written to, as this manager does.
    assert words[3:5] == [f"{mount['mountPath']}/passwords.json", core["simple_auth_manager_passwords_file"]]
    # Which logins have one there: tests/unit/deployment/test_trying.py.
    assert f"get secret {volume['secret']['secretName']} " in (_FOLDER / "try.sh").read_text()


def test_no_link_that_people_follow_names_what_only_the_cluster_knows(overlay: str) -> None:
    (boards,) = _pods(overlay)["grafana"]["containers"]
    told = [
        _values()["config"]["api"]["base_url"],
        _of(overlay, "ConfigMap")["retraining"]["data"]["RETRAIN_MLFLOW_LINK_URL"],
        *(one["value"] for one in boards["env"] if one["name"] == "GF_SERVER_ROOT_URL"),
    ]
    assert [urlsplit(one).hostname for one in told] == ["127.0.0.1"] * 3
    # What answers there is told whom it may answer.
    (server,) = _pods(overlay)["mlflow"]["containers"]
    (public,) = [one["valueFrom"]["configMapKeyRef"] for one in server["env"] if one["name"] == "MLFLOW_PUBLIC_URL"]
    assert public == {"name": "retraining", "key": "RETRAIN_MLFLOW_LINK_URL"}


def test_where_the_cloud_gives_rights_no_key_has_to_be_there(overlay: str) -> None:
    values = _values()
    of_airflow = [*({"name": one["envName"]} for one in values["secret"]), *yaml.safe_load(values["extraEnv"])]
    known = [("airflow", one) for one in of_airflow]
    known += [(name, one) for name, container in _containers(overlay) for one in container.get("env", ())]
    keys = {(name, one["name"]): one.get("valueFrom", {}) for name, one in known if one["name"].startswith("AWS_")}
    assert {name for name, _ in keys} >= {"airflow", "training", "mlflow", "faceserve"}
    assert [place for place, source in keys.items() if not source.get("secretKeyRef", {}).get("optional")] == []
