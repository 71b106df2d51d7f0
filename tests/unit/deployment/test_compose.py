"""docker-compose.yaml is the stack of include/stack/ in containers: same programs, variables and ports, no secret."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from faceserve.settings import Settings as FaceserveSettings
from include.access_service.settings import Settings as AccessSettings
from include.contract.work_queues import QUEUES
from include.docker import airflow_part
from include.helper_service.settings import Settings as HelperSettings
from include.stack import door_tokens
from include.stack.accounts import ACCOUNTS, SECRETS
from include.stack.airflow_worker import NOT_FOR_WORKERS
from include.stack.certificates import ASKING, AUTHORITY, CALLERS, CERTIFICATE, KEY, SERVER, TRUSTED
from include.stack.door_tokens import SECRETS as DOORS
from include.stack.executor import executor_variables
from include.stack.layout import environment, load_or_create
from include.stack.object_keys import SECRETS as KEYS
from include.stack.object_keys import variable_of
from include.stack.registry_logins import ACCOUNTS as LOGINS
from include.stack.roles import OWN, ROLES
from include.stack.runner import all_services
from pipeline.settings import Settings as PipelineSettings
from pipeline.settings.variables import variables
from tests.unit.deployment.replica_memory import most_megabytes

_ROOT = Path(__file__).parents[3]
_COMPOSE = yaml.safe_load((_ROOT / "docker-compose.yaml").read_text())
_SERVICES: dict[str, dict[str, Any]] = _COMPOSE["services"]
_DEFAULTS_FILE = "include/docker/defaults.env"
_DEFAULTS = dict(re.findall(r"^(\w+)=(.*)$", (_ROOT / _DEFAULTS_FILE).read_text(), re.MULTILINE))
_READ = {
    *(one.name for one in variables(PipelineSettings)),
    *(f"FACESERVE_{name}".upper() for name in FaceserveSettings.model_fields),
    *(f"ACCESS_{name}".upper() for name in AccessSettings.model_fields),
    *(f"HELPER_{name}".upper() for name in HelperSettings.model_fields),
}
_OF_OWNERS = {
    *(f"{database.owner}_DSN".upper() for database in OWN),
    *(f"{role}_DB_PASSWORD".upper() for role in ROLES),
}
# The superuser's password is PostgreSQL's own; the image of RabbitMQ starts epmd by itself.
_IMAGES_OF_OTHERS = {"postgres", "rabbitmq", "prometheus", "alertmanager", "grafana"}
_PARTS_OF_OTHERS = {"epmd"}
_ONCE = {"accounts", "door-tokens", "signing-keys", "migrate", "first-model"}
# `migrate` ends, no Debian package has Grafana, and of the access service the local stack has only the variables.
# Workers there are where they are wanted.
_WORKERS = {"airflow-worker-quick", "airflow-worker-heavy", "airflow-worker-gpu"}
_IN_CONTAINERS_ONLY = {*_ONCE, *_WORKERS, "grafana", "access", "certificates"}
# One machine's shortcut for the demo; containers retrain as often as the specification says.
_DEMO_ONLY = {
    "RETRAIN_CHEAP_FROM",
    "RETRAIN_CHEAP_UNTIL",
    "RETRAIN_MIN_DAYS_BETWEEN_TRAININGS",
    "RETRAIN_MIN_TRAIN_PHOTOS",
    "RETRAIN_INTAKE_LONGEST_WAIT_SECONDS",
    "RETRAIN_INTAKE_SILENCE_SECONDS",
    "RETRAIN_LIVE_MATURED_MINUTES",
    "RETRAIN_MONITOR_SCHEDULE",
    "RETRAIN_CANARY_MIN_CONFIRMATIONS",
    "RETRAIN_CANARY_MARGIN",
    "RETRAIN_CANARY_DEADLINE_HOURS",
}


@pytest.fixture
def local_stack(tmp_path):
    return load_or_create(tmp_path, preferred=False)


def _pinned(service: dict[str, Any]) -> dict[str, str]:
    """What no line of `settings.env` changes."""
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def _variables(service: dict[str, Any]) -> dict[str, str]:
    begins_with = _DEFAULTS if _DEFAULTS_FILE in str(service.get("env_file")) else {}
    return {**begins_with, **_pinned(service)}


def _ours() -> list[tuple[str, str]]:
    """Service and variable, for every variable that one of our settings classes reads."""
    return [
        (service, variable)
        for service, fields in _SERVICES.items()
        if service not in _IMAGES_OF_OTHERS
        for variable in _variables(fields)
        if variable.startswith(("RETRAIN_", "FACESERVE_", "HELPER_", "ACCESS_"))
    ]


def test_every_program_of_the_local_stack_has_a_service(local_stack):
    programs = {p.name for service in all_services(local_stack) for p in service.programs} - _PARTS_OF_OTHERS
    assert {name.replace("_", "-") for name in programs} == set(_SERVICES) - _IN_CONTAINERS_ONLY


def test_airflows_history_is_thrown_away_as_often_as_by_the_local_stack(local_stack):
    programs = {p.name: p for service in all_services(local_stack) for p in service.programs}
    shell, *how = programs["airflow_history"].command
    how[-1] = re.sub(r"\S+/python\b", "python", how[-1])
    assert [Path(shell).name, *how] == _SERVICES["airflow-history"]["command"]


@pytest.mark.parametrize("name", _SERVICES)
def test_a_service_runs_an_image_of_a_fixed_tag(name):
    tag = _SERVICES[name]["image"].partition(":")[2]
    assert tag and tag != "latest"


def test_each_image_of_ours_is_built_by_one_service_and_knows_its_commit():
    """Two that build one tag at the same time end in `already exists`."""
    builds = {name: service for name, service in _SERVICES.items() if "build" in service}
    ours = {service["image"] for name, service in _SERVICES.items() if name not in _IMAGES_OF_OTHERS}
    assert sorted(service["image"] for service in builds.values()) == sorted(ours)
    for service in builds.values():
        how = service["build"]
        assert how["args"]["GIT_COMMIT"] == "${GIT_COMMIT:-}"
        assert (_ROOT / how["context"] / how["dockerfile"]).is_file()


def test_what_runs_tasks_can_train_and_the_rest_of_airflow_is_without_tensorflow():
    trained = {name for name, service in _SERVICES.items() if service["image"].startswith("laundry-training:")}
    assert trained == {"airflow-scheduler", "first-model", "s3", *_WORKERS}
    assert _SERVICES["airflow-scheduler"]["build"]["args"]["PACKAGES"] == "training"


def test_images_are_called_the_same_everywhere():
    ours = {service["image"] for name, service in _SERVICES.items() if name not in _IMAGES_OF_OTHERS}
    for path in ("include/docker/images.sh", "include/k8s/base/faceserve.yaml"):
        text = (_ROOT / path).read_text()
        assert not re.search(r"image: (?!laundry-)\S*faceserve", text), path
    assert "laundry-faceserve:0.1.0" in (_ROOT / "include/k8s/base/faceserve.yaml").read_text()
    assert ours == {f"laundry-{name}:0.1.0" for name in ("retraining", "training", "faceserve")}


@pytest.mark.parametrize("name", _SERVICES)
def test_no_service_can_change_its_image_or_become_more_than_it_is(name):
    service = _SERVICES[name]
    assert service["read_only"] is True and service["tmpfs"][0] == "/tmp"
    assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
    # These begin as root, to become who they are.
    steps_down = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    assert set(service.get("cap_add", ())) == (steps_down if name in {"postgres", "rabbitmq"} else set())


def test_the_sizes_of_the_specification_are_had_by_an_override():
    said = yaml.safe_load((_ROOT / "include/docker/specified.yaml").read_text())["services"]
    chapter = (_ROOT / "include/spec.md").read_text().partition("\n## 7. Nodes\n")[2].partition("\n## ")[0]
    sizes = re.findall(r"^\| (\w+) .*\| (\d+) (?:cores|vCPU), (\d+) GB", chapter, re.MULTILINE)
    sized = {node: {"cpus": int(cpus), "mem_limit": f"{gigabytes}g"} for node, cpus, gigabytes in sizes}
    of_nodes = {
        "FaceModel": {"faceserve-1", "faceserve-2"},
        "MLOps": {"airflow-scheduler", "airflow-worker-gpu"},
        "training": {"postgres"},
    }
    assert said == {name: sized[node] for node, names in of_nodes.items() for name in names}
    assert set(said) <= set(_SERVICES)


@pytest.mark.parametrize("name", _SERVICES)
def test_a_service_that_goes_mad_does_not_take_the_memory_of_the_others(name):
    assert re.fullmatch(r"\d+g", _SERVICES[name]["mem_limit"])


@pytest.mark.parametrize("name", ["faceserve-1", "faceserve-2"])
def test_a_replica_refuses_what_is_too_large_before_the_kernel_kills_it(name):
    service, variables = _SERVICES[name], _variables(_SERVICES[name])
    assert most_megabytes(variables) < int(service["mem_limit"].removesuffix("g")) * 1024


@pytest.mark.parametrize("name", _SERVICES)
def test_what_a_service_prints_does_not_fill_the_disk(name):
    kept = _SERVICES[name]["logging"]
    assert kept["driver"] == "json-file" and set(kept["options"]) == {"max-size", "max-file"}


def test_volumes_are_declared_and_mounted_files_exist():
    sources = [mount.split(":")[0] for service in _SERVICES.values() for mount in service.get("volumes", ())]
    named = {source for source in sources if not source.startswith((".", "$"))}
    assert named == set(_COMPOSE["volumes"])
    assert all((_ROOT / source).exists() for source in sources if source.startswith("."))


def test_a_service_waits_for_what_exists_and_can_be_healthy():
    for name, service in _SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if needed in _ONCE else "service_healthy"
            assert how["condition"] == wanted, f"{name} waits for {needed}"
            assert needed in _SERVICES


def test_every_service_that_stays_up_says_whether_it_is_healthy():
    silent = {name for name, service in _SERVICES.items() if not service.get("healthcheck", {}).get("test")}
    assert silent == _ONCE


@pytest.mark.parametrize(("service", "variable"), _ours())
def test_a_variable_is_one_that_a_program_reads(service, variable):
    assert variable in _READ | (_OF_OWNERS if service == "migrate" else set())


def test_only_migrate_knows_the_owners_of_tables_and_it_knows_every_role():
    of_owners = {
        variable: {name for name in _SERVICES if variable in _variables(_SERVICES[name])} for variable in _OF_OWNERS
    }
    assert {variable for variable, services in of_owners.items() if services == {"migrate"}} == _OF_OWNERS
    assert "POSTGRES_ADMIN_DSN" in _variables(_SERVICES["migrate"])


def test_what_the_local_stack_sets_is_set_here_too(local_stack):
    programs = [p for service in all_services(local_stack) for p in service.programs]
    local = set(environment(local_stack)).union(*(p.environment for p in programs))
    assert (local & _READ) - _DEMO_ONLY - {variable for _, variable in _ours()} == set()


def test_every_program_listens_where_other_containers_reach_it():
    for name, setting in (
        ("faceserve-1", "FACESERVE_HOST"),
        ("helper", "HELPER_HOST"),
        ("airflow-api", "AIRFLOW__API__HOST"),
    ):
        assert _variables(_SERVICES[name])[setting] == "0.0.0.0"


@pytest.mark.parametrize("name", [name for name in _SERVICES if name not in _IMAGES_OF_OTHERS])
def test_an_address_names_a_service(name):
    hosts = {
        host
        for variable, value in _variables(_SERVICES[name]).items()
        for host in re.findall(r"(?:://|@|\")(?:[\w]+:\$\{[^}]*\}@)?([a-z][a-z0-9-]*):\d+", value)
    }
    assert hosts <= set(_SERVICES)


def test_published_ports_are_those_of_the_readme_and_of_this_machine_only():
    readme = (_ROOT / "README.md").read_text()
    table = readme[readme.index("| what | where |") : readme.index("## Something is wrong")]
    told = {int(port) for port in re.findall(r"(?:127\.0\.0\.1:|on |and )(\d{4,5})", table)}
    published = [mapping.split(":") for service in _SERVICES.values() for mapping in service.get("ports", ())]
    assert {host for host, _, _ in published} == {"127.0.0.1"}
    assert sorted(int(port) for _, port, _ in published) == sorted(told)


def test_no_secret_is_written_down():
    for name, service in _SERVICES.items():
        for variable, value in _variables(service).items():
            if re.search(r"PASSWORD$|_PASS$|SECRET|TOKEN$|FERNET_KEY|AUTH_KEY", variable):
                assert re.search(r"\$\{[A-Z0-9_]+:\?", value), f"{name} {variable}"
            assert not re.search(r"://\w+:(?!\$\{)[^/]*@", value), f"{name} {variable}"


def test_the_example_names_every_secret_and_gives_none():
    text = (_ROOT / "docker-compose.yaml").read_text()
    example = (_ROOT / ".env.example").read_text()
    assert set(re.findall(r"\$\{([A-Z0-9_]+):\?", text)) == set(re.findall(r"^([A-Z0-9_]+)=$", example, re.MULTILINE))
    optional = set(re.findall(r"\$\{([A-Z0-9_]+):-", text))
    # One is read by Compose itself.
    assert {*optional, "COMPOSE_PROFILES"} == set(re.findall(r"^#([A-Z0-9_]+)=", example, re.MULTILINE))
    assert re.findall(r"^[A-Z0-9_]+=.+$", example, re.MULTILINE) == []
    assert ".env" in (_ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("there", ["", "S3_SECRET_KEY=old\n", "S3_SECRET_KEY=old\nGRAFANA_ADMIN_PASSWORD=\nEXTRA=mine"])
def test_the_recipe_of_the_example_gives_what_is_missing_and_changes_nothing_that_is_there(tmp_path, there):
    example = (_ROOT / ".env.example").read_text()
    recipe = "\n".join(re.findall(r"^#   (.+)$", example, re.MULTILINE))
    (tmp_path / ".env.example").write_text(example)
    (tmp_path / ".env").write_text(there)

    def made():
        subprocess.run(["sh", "-ec", recipe], cwd=tmp_path, check=True)
        return (tmp_path / ".env").read_text()

    first = made()
    assert first.startswith(there) and made() == first
    # The last line of a name is the one that compose reads.
    values = dict(line.split("=", 1) for line in first.splitlines())
    asked = set(re.findall(r"^([A-Z0-9_]+)=$", example, re.MULTILINE))
    assert asked <= set(values) and all(values.values()) and len(set(values.values())) == len(values)
    assert {name: values[name] for name in ("S3_SECRET_KEY", "EXTRA") if f"{name}=" in there}.items() <= {
        "S3_SECRET_KEY": "old",
        "EXTRA": "mine",
    }.items()


def test_whoever_has_settings_reads_those_of_people_and_they_win_over_ours():
    """Parts of Airflow, the exporter whose bars alerts compare with, the first model, and every server of ours."""
    ours, theirs = {"path": _DEFAULTS_FILE, "required": True}, {"path": "settings.env", "required": False}
    reading = {name for name, service in _SERVICES.items() if service.get("env_file") == [ours, theirs]}
    own = ("RETRAIN_", "FACESERVE_", "HELPER_", "ACCESS_")
    having = {name for name, service in _SERVICES.items() if any(v.startswith(own) for v in _pinned(service))}
    assert reading == having - _IMAGES_OF_OTHERS


def test_nothing_is_pinned_that_people_may_choose():
    """A line of `settings.env` about it would have no effect, and nobody would say so."""
    where = re.compile(r"://|\$\{|^/|^0\.0\.0\.0$|\w:\d{4}\b")
    ours = {(n, v): _pinned(_SERVICES[n])[v] for n, v in _ours() if v in _pinned(_SERVICES[n])}
    chosen = {v for (_, v), value in ours.items() if not where.search(value) and not v.endswith(("_PORT", "_MB"))}
    # Who a program is, and what its callers' own variables go with.
    of_doors = {"FACESERVE_TLS_PORTS", "FACESERVE_LIFECYCLE_IDENTITIES"}
    assert chosen == {"FACESERVE_REPLICA", "FACESERVE_REGISTRY_USER", "RETRAIN_EXPORTER_AIRFLOW_USER"} | of_doors
    assert set(_DEFAULTS) <= _READ


def test_each_program_has_an_account_of_its_own_on_rabbitmq_and_nobody_the_administrators():
    known = {name: re.findall(r"amqp://(\w+):", str(_variables(service))) for name, service in _SERVICES.items()}
    assert {user for users in known.values() for user in users} == {a.name for a in ACCOUNTS}
    assert (known["helper"], known["exporter"], known["airflow-dag-processor"]) == (
        ["helper"],
        ["watcher"],
        ["pipeline"],
    )
    assert set(known["airflow-scheduler"]) == {"pipeline", "airflow"}
    assert all(set(known[name]) == {"pipeline", "worker"} for name in _WORKERS)
    assert set(_variables(_SERVICES["accounts"])) == {f"{secret}_PASSWORD".upper() for secret in SECRETS}


def test_each_program_has_a_login_of_its_own_at_mlflow_and_who_has_nothing_to_do_there_none():
    known = {
        name: set(re.findall(r"\$\{MLFLOW_(\w+)_PASSWORD:", str(_variables(service)))) - {"DB"}
        for name, service in _SERVICES.items()
    }
    writing = {name for name in _SERVICES if name.startswith("airflow-")} | {"migrate", "first-model"}
    assert {name: logins for name, logins in known.items() if logins} == {
        "mlflow": {"ADMIN", "PIPELINE", "REPLICA"},
        **dict.fromkeys(("faceserve-1", "faceserve-2"), {"REPLICA"}),
        **dict.fromkeys(writing, {"PIPELINE"}),
    }
    assert {account.variable for account in LOGINS} <= set(_variables(_SERVICES["mlflow"]))
    for name, logins in known.items():
        variables = _variables(_SERVICES[name])
        assert logins != {"PIPELINE"} or variables["MLFLOW_TRACKING_USERNAME"] == "pipeline"
        assert logins != {"REPLICA"} or variables["FACESERVE_REGISTRY_USER"] == "replica"


def test_the_replicas_tokens_are_known_to_who_calls_them_so_and_change_without_a_restart():
    """Whose variables change is made anew: a token in a replica's would end it, and requests with it."""
    asked = {
        name: set(re.findall(r"\$\{FACESERVE_(?:EARLIER_)?((?:ENROLMENT_)?TOKEN):", str(_variables(service))))
        for name, service in _SERVICES.items()
    }
    changing = {name for name in _SERVICES if name.startswith("airflow-")} | {"migrate", "first-model"}
    assert {name: tokens for name, tokens in asked.items() if tokens} == {
        "door-tokens": {"TOKEN", "ENROLMENT_TOKEN"},
        "access": {"ENROLMENT_TOKEN"},
        **dict.fromkeys(changing, {"TOKEN"}),
    }
    (_, folder) = _SERVICES["door-tokens"]["volumes"][0].split(":")
    for name in ("faceserve-1", "faceserve-2"):
        files = {variable: value for variable, value in _variables(_SERVICES[name]).items() if "_TOKEN" in variable}
        assert files == {f"FACESERVE_{calls}_TOKEN_FILE".upper(): f"{folder}/{calls}" for calls in DOORS}
        assert f"door-tokens:{folder}:ro" in _SERVICES[name]["volumes"]
        assert "restart" not in _SERVICES[name]["depends_on"]["door-tokens"]


def test_tokens_of_before_open_beside_those_of_now(tmp_path, monkeypatch):
    monkeypatch.setenv("LIFECYCLE_TOKENS", "new old")
    monkeypatch.setenv("ENROLMENT_TOKENS", "one ")
    door_tokens.main([str(tmp_path)], standalone_mode=False)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "lifecycle": "new\nold\n",
        "enrolment": "one\n",
    }


def test_who_watches_and_who_copies_the_databases_knows_nothing_that_changes_models():
    def secrets(name):
        return set(re.findall(r"\$\{([A-Z0-9_]+):\?", str(_variables(_SERVICES[name]))))

    watching = {"MLOPS_VIEWER_DB_PASSWORD", "RABBITMQ_WATCHER_PASSWORD", "AIRFLOW_EXPORTER_PASSWORD"}
    assert secrets("exporter") == watching
    users = _variables(_SERVICES["airflow-api"])["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"]
    own = _variables(_SERVICES["exporter"])["RETRAIN_EXPORTER_AIRFLOW_USER"]
    assert users == "${AIRFLOW_USERS:-admin:admin}" + f",{own}:viewer"
    assert secrets("log-receiver") == {"BACKUP_DB_PASSWORD", "LOG_RECEIVER_DB_PASSWORD", "S3_LOG_RECEIVER_SECRET_KEY"}
    assert secrets("helper") == {"HELPER_DB_PASSWORD", "RABBITMQ_HELPER_PASSWORD", "S3_HELPER_SECRET_KEY"}


def test_rabbitmq_starts_again_when_its_accounts_have_other_passwords():
    """It reads them at its start only."""
    assert _SERVICES["rabbitmq"]["depends_on"]["accounts"]["restart"] is True


def test_each_component_has_a_key_of_its_own_for_s3_and_no_other_ones():
    known = {
        name: set(re.findall(r"\$\{(S3_(?:\w+_)?SECRET_KEY):", str(_variables(service))))
        for name, service in _SERVICES.items()
    }
    pipeline = {name for name in _SERVICES if name.startswith("airflow-")} | {"migrate", "first-model"}
    own = {"faceserve-1": "faceserve", "faceserve-2": "faceserve"}
    own |= {name: name for name in ("helper", "access", "mlflow", "log-receiver")} | dict.fromkeys(
        pipeline, "retraining"
    )
    assert known.pop("s3") == {variable_of(component) for component in KEYS}
    assert {name: keys for name, keys in known.items() if keys} == {
        name: {variable_of(component)} for name, component in own.items()
    }
    for name, component in own.items():
        assert re.fullmatch(rf"\$\{{S3_(\w+_)?ID:-{component}}}", _variables(_SERVICES[name])["AWS_ACCESS_KEY_ID"])


def test_whoever_trains_has_the_private_key_whoever_serves_the_public_one_and_nobody_else_any():
    keys = {
        name: {mount for mount in service.get("volumes", ()) if "ing-key:" in mount}
        for name, service in _SERVICES.items()
    }
    private, public = "signing-key:/var/lib/signing-key", "verifying-key:/var/lib/verifying-key"
    assert {name: mounts for name, mounts in keys.items() if mounts} == {
        "signing-keys": {private, public},
        "migrate": {private},
        **dict.fromkeys(("airflow-scheduler", "airflow-worker-gpu", "first-model"), {f"{private}:ro"}),
        **dict.fromkeys(("faceserve-1", "faceserve-2"), {f"{public}:ro"}),
    }
    made = _SERVICES["signing-keys"]["command"]
    told = {value for s in _SERVICES.values() for v, value in _variables(s).items() if v.endswith("ING_KEY")}
    assert told == set(made[-2:])


# Certificates


def _certificates(name: str) -> set[tuple[str, ...]]:
    mounts = (mount.split(":") for mount in _SERVICES[name].get("volumes", ()))
    return {tuple(mount) for mount in mounts if mount[0].startswith("certificates-of-")}


def test_each_has_the_certificates_of_its_own_and_only_who_makes_them_the_authoritys():
    folder = "/var/lib/certificates"
    owners = {AUTHORITY, SERVER, *CALLERS, ASKING}
    assert _certificates("certificates") == {(f"certificates-of-{one}", f"{folder}/{one}") for one in owners}
    pipeline = {name for name in _SERVICES if name.startswith("airflow-")} | {"first-model"}
    having = {"faceserve-1": SERVER, "faceserve-2": SERVER, "helper": ASKING, "access": "access"}
    having |= dict.fromkeys(pipeline, "pipeline")
    found = {name: _certificates(name) for name in _SERVICES if name != "certificates" and _certificates(name)}
    assert found == {name: {(f"certificates-of-{owner}", folder, "ro")} for name, owner in having.items()}
    assert all("certificates" in _needed(name) for name in having), "a volume that nobody filled yet has no certificate"


def test_whoever_talks_to_a_replica_trusts_its_authority_and_who_changes_models_shows_a_certificate():
    """`migrate` has the pipeline's variables, and asks no replica."""
    talks = ("RETRAIN_FACESERVE_TOKEN", "HELPER_FACESERVE_REPLICAS", "ACCESS_FACESERVE_REPLICAS")
    asking = {name for name, service in _SERVICES.items() if set(talks) & set(_pinned(service))} - {"migrate"}
    assert asking >= {"helper", "access", "airflow-api", "airflow-scheduler", "first-model", *_WORKERS}
    for name in asking:
        pinned = _pinned(_SERVICES[name]).items()
        said = {v.partition("FACESERVE_TLS_")[2]: value for v, value in pinned if "FACESERVE_TLS_" in v}
        (mount,) = _certificates(name)
        wanted = {"CA": TRUSTED} if name == "helper" else {"CA": TRUSTED, "CERTIFICATE": CERTIFICATE, "KEY": KEY}
        assert said == {what: f"{mount[1]}/{file}" for what, file in wanted.items()}, name


@pytest.mark.parametrize("name", ["faceserve-1", "faceserve-2"])
def test_a_replica_is_called_as_its_certificate_says_and_lets_in_whom_the_certificates_name(name):
    variables = _variables(_SERVICES[name])
    assert json.loads(variables["FACESERVE_LIFECYCLE_IDENTITIES"]) == list(CALLERS)
    assert set(json.loads(variables["FACESERVE_TLS_PORTS"])) == {"lifecycle", "inference", "http"}
    assert name in _variables(_SERVICES["certificates"])["NAMES"].split()


def test_certificates_are_looked_at_every_day_and_who_makes_them_says_when_they_are_there(tmp_path):
    service = _SERVICES["certificates"]
    loop = service["command"][-1].replace("$$", "$").replace("/tmp/made", f"{tmp_path}/made")
    assert service["healthcheck"]["test"] == ["CMD", "test", "-e", "/tmp/made"]
    log = tmp_path / "log"
    for program, does in {"python": f'echo "made $*" >> {log}', "sleep": f'echo "sleep $*" >> {log}; exit 9'}.items():
        (tmp_path / program).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / program).chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "NAMES": "a b"}
    subprocess.run(["timeout", "20", "sh", "-ec", loop], env=path, check=False)
    assert log.read_text().splitlines() == [
        "made -m include.stack.certificates /var/lib/certificates a b",
        "sleep 86400",
    ]
    assert (tmp_path / "made").exists()


def test_whether_the_broker_is_well_is_asked_without_starting_erlang():
    """A machine that was busy for minutes answered none in time, and what waits for the broker failed."""
    assert "rabbitmq-diagnostics" not in str(_SERVICES["rabbitmq"]["healthcheck"])
    assert "/dev/tcp/127.0.0.1/5672" in _SERVICES["rabbitmq"]["healthcheck"]["test"][-1]


def test_what_everybody_waits_for_waits_for_nobody_who_starts_later():
    """Airflow's commands end when they told their metrics, or gave up on it."""
    assert _variables(_SERVICES["migrate"])["AIRFLOW__METRICS__OTEL_ON"] == "False"
    assert _variables(_SERVICES["airflow-scheduler"])["AIRFLOW__METRICS__OTEL_ON"] == "True"


def test_models_of_before_are_signed_before_a_replica_asks_for_one():
    assert "signing-keys" in _SERVICES["migrate"]["depends_on"]
    assert all("migrate" in _SERVICES[name]["depends_on"] for name in ("faceserve-1", "faceserve-2"))


def test_no_link_that_people_follow_names_a_container():
    for name in ("airflow-api", "airflow-scheduler"):
        for variable in ("AIRFLOW__API__BASE_URL", "RETRAIN_MLFLOW_LINK_URL"):
            assert re.fullmatch(r"\$\{\w+:-http://127.0.0.1:\d+\}", _variables(_SERVICES[name])[variable])
    # What answers there knows it.
    linked = _variables(_SERVICES["airflow-scheduler"])["RETRAIN_MLFLOW_LINK_URL"]
    assert _variables(_SERVICES["mlflow"])["MLFLOW_PUBLIC_URL"] == linked


# Restoring everything, as the runbook says it


def _restore() -> str:
    runbook = (_ROOT / "include/runbook.md").read_text()
    chapter = runbook.partition("\n## A backup has to come back\n")[2].partition("\n## ")[0]
    (found,) = re.findall(r"^```\n(docker compose stop.*?)^```", chapter, re.MULTILINE | re.DOTALL)
    return str(found)


def _needed(name: str) -> set[str]:
    needed = _SERVICES[name].get("depends_on", {})
    return {name, *needed}.union(*(_needed(one) for one in needed))


def test_while_everything_is_restored_nothing_runs_but_what_the_backups_lie_on():
    """PostgreSQL could not start on a damaged volume, and on a lost one it would make an empty cluster."""
    before = _restore().partition("docker run ")[0]
    assert before.startswith("docker compose stop && docker compose up --wait s3\n") and _needed("s3") == {"s3"}
    begun = re.findall(r"docker compose run ((?:--\S+ )*)", before)
    assert begun and all("--no-deps" in options.split() for options in begun)


def test_what_was_restored_takes_the_place_of_what_is_damaged_and_nothing_is_deleted(tmp_path):
    mounts = dict(re.findall(r"--volume (\S+):(/\S+)", _restore()))
    assert mounts == {f"{_COMPOSE['name']}_airflow-home": "/home", f"{_COMPOSE['name']}_postgres-data": "/data"}
    assert f" {_SERVICES['postgres']['image']} sh -ec" in _restore()
    assert "--into /var/lib/airflow/restored" in _restore()
    assert "airflow-home:/var/lib/airflow" in _SERVICES["airflow-scheduler"]["volumes"]
    home, data = tmp_path / "home", tmp_path / "data"
    for folder, file in ((home / "restored", "PG_VERSION"), (data, ".damaged")):
        folder.mkdir(parents=True)
        (folder / file).touch()
    (script,) = re.findall(r"sh -ec '\n(.*?)'\n", _restore(), re.DOTALL)
    here = re.sub(r"(?<= )/(?=home|data)", f"{tmp_path}/", script).replace("chown -R 999:999", "ls")
    subprocess.run(["sh", "-ec", here], check=True, stdout=subprocess.DEVNULL)
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]
    assert [path.name for path in (home / "data-before").iterdir()] == [".damaged"]


# Workers, which are hosts of their own


def test_every_queue_has_a_worker_and_the_emergency_none():
    taken = [_SERVICES[name]["command"][3] for name in _WORKERS]
    assert sorted(taken) == sorted(QUEUES)


@pytest.mark.parametrize("name", sorted(_WORKERS))
def test_a_worker_shares_nothing_but_services_and_opens_no_database_of_airflow(name):
    service = _SERVICES[name]
    assert service["profiles"] == ["distributed"]
    read_only = {mount.removesuffix(":ro").split(":")[0] for mount in service["volumes"] if mount.endswith(":ro")}
    assert read_only <= {"signing-key", "certificates-of-pipeline"} and len(read_only) == len(service["volumes"])
    assert not set(NOT_FOR_WORKERS) & set(_variables(service))
    needed = {"RETRAIN_MLOPS_DSN", "RETRAIN_S3_ENDPOINT", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"}
    assert needed <= set(_variables(service))


def test_one_setting_of_people_moves_all_of_airflow_to_workers(monkeypatch):
    """It stands in `settings.env`, which every part reads; a variable that compose pinned would win over it."""
    assert "RETRAIN_EXECUTOR" not in {variable for _, variable in _ours()}
    pinned = _variables(_SERVICES["airflow-scheduler"])["AIRFLOW__CORE__EXECUTOR"]
    became: list[str] = []
    monkeypatch.setattr(airflow_part, "become_airflow", became.append)
    monkeypatch.setattr(airflow_part, "demand_start", lambda: None)
    # What the part adds to its own variables is of this test alone.
    monkeypatch.setattr(os, "environ", os.environ.copy())
    chosen = {"RETRAIN_EXECUTOR": "celery", "RETRAIN_SLICES_AT_ONCE": "4"}
    for variable, value in {**_variables(_SERVICES["airflow-scheduler"]), **chosen}.items():
        monkeypatch.setenv(variable, value)
    airflow_part.main(["scheduler"], standalone_mode=False)
    assert became == ["scheduler"]
    assert {"AIRFLOW__CORE__EXECUTOR": pinned, "AIRFLOW__CORE__PARALLELISM": "9"} == executor_variables({})
    assert {name: os.environ[name] for name in executor_variables(chosen)} == executor_variables(chosen)
