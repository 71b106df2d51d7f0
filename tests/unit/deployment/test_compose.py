"""docker-compose.yaml is the stack of include/stack/ in containers: same programs, variables and ports, no secret."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from faceserve.settings import Settings as FaceserveSettings
from include.helper_service.settings import Settings as HelperSettings
from include.stack.layout import environment, load_or_create
from include.stack.runner import all_services
from pipeline.settings import Settings as PipelineSettings
from pipeline.settings.variables import variables

_ROOT = Path(__file__).parents[3]
_COMPOSE = yaml.safe_load((_ROOT / "docker-compose.yaml").read_text())
_SERVICES: dict[str, dict[str, Any]] = _COMPOSE["services"]
_IMAGES = ("application", "faceserve")
_READ = {
    *(one.name for one in variables(PipelineSettings)),
    *(f"FACESERVE_{name}".upper() for name in FaceserveSettings.model_fields),
    *(f"HELPER_{name}".upper() for name in HelperSettings.model_fields),
}
# Databases are made by `postgres` and its passwords are its own; the image of RabbitMQ starts epmd by itself.
_IMAGES_OF_OTHERS = {"postgres", "rabbitmq", "prometheus", "alertmanager", "grafana"}
_PARTS_OF_OTHERS = {"epmd"}
# `migrate` ends, and no Debian package has Grafana.
_IN_CONTAINERS_ONLY = {"migrate", "grafana"}
# One machine's shortcut for the demo; containers retrain as often as the specification says.
_DEMO_ONLY = {
    "RETRAIN_CHEAP_FROM",
    "RETRAIN_CHEAP_UNTIL",
    "RETRAIN_MIN_DAYS_BETWEEN_TRAININGS",
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


@cache
def _dockerfile(image: str) -> str:
    return (_ROOT / f"include/docker/{image}.Dockerfile").read_text().replace("\\\n", " ")


def _variables(service: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def _ours() -> list[tuple[str, str]]:
    """Service and variable, for every variable that one of our settings classes reads."""
    return [
        (service, variable)
        for service, fields in _SERVICES.items()
        if service not in _IMAGES_OF_OTHERS
        for variable in _variables(fields)
        if variable.startswith(("RETRAIN_", "FACESERVE_", "HELPER_"))
    ]


def test_every_program_of_the_local_stack_has_a_service(local_stack):
    programs = {p.name for service in all_services(local_stack) for p in service.programs} - _PARTS_OF_OTHERS
    assert {name.replace("_", "-") for name in programs} == set(_SERVICES) - _IN_CONTAINERS_ONLY


@pytest.mark.parametrize("name", _SERVICES)
def test_a_service_is_built_from_a_dockerfile_or_pulled_by_a_fixed_tag(name):
    service = _SERVICES[name]
    tag = service["image"].partition(":")[2]
    assert tag and tag != "latest"
    if "build" in service:
        assert (_ROOT / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("image", _IMAGES)
def test_an_image_copies_what_is_there_and_what_the_build_may_see(image):
    sources = re.findall(r"^COPY (\S+) \S+$", _dockerfile(image), re.MULTILINE)
    allowed = {line[1:] for line in (_ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert sources and len(sources) == _dockerfile(image).count("\nCOPY ")
    assert [source for source in sources if not (_ROOT / source).exists()] == []
    assert [source for source in sources if source.split("/")[0] not in allowed] == []


@pytest.mark.parametrize("image", _IMAGES)
def test_an_image_installs_by_hash_on_debian_12_and_runs_without_root(image):
    text = _dockerfile(image)
    assert re.findall(r"^FROM (\S+)$", text, re.MULTILINE) == ["python:3.11-slim-bookworm"]
    assert "--require-hashes" in text
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) not in ([], ["root"])


def test_the_model_servers_packages_are_those_of_the_whole_lock():
    pin = re.compile(r"^(\S+==\S+) \\$((?:\n    --hash=\S+(?: \\)?)+)", re.MULTILINE)
    whole, server = (
        {name: set(re.findall(r"sha256:\w+", hashes)) for name, hashes in pin.findall((_ROOT / path).read_text())}
        for path in ("requirements.txt", "include/docker/faceserve.txt")
    )
    assert "openvino" in " ".join(server)
    assert server == {name: whole.get(name) for name in server}


@pytest.mark.parametrize("name", _SERVICES)
def test_what_a_service_prints_does_not_fill_the_disk(name):
    kept = _SERVICES[name]["logging"]
    assert kept["driver"] == "json-file" and set(kept["options"]) == {"max-size", "max-file"}


def test_volumes_are_declared_and_mounted_files_exist():
    sources = [mount.split(":")[0] for service in _SERVICES.values() for mount in service.get("volumes", ())]
    named = {source for source in sources if not source.startswith(".")}
    assert named == set(_COMPOSE["volumes"])
    assert all((_ROOT / source).exists() for source in sources if source not in named)


def test_a_service_waits_for_what_exists_and_can_be_healthy():
    for name, service in _SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if needed == "migrate" else "service_healthy"
            assert how["condition"] == wanted, f"{name} waits for {needed}"
            assert needed in _SERVICES


def test_every_service_that_stays_up_says_whether_it_is_healthy():
    silent = {name for name, service in _SERVICES.items() if not service.get("healthcheck", {}).get("test")}
    assert silent == {"migrate"}


@pytest.mark.parametrize(("service", "variable"), _ours())
def test_a_variable_is_one_that_a_program_reads(service, variable):
    assert variable in _READ


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
    assert set(re.findall(r"\$\{([A-Z0-9_]+)", text)) == set(re.findall(r"^([A-Z0-9_]+)=$", example, re.MULTILINE))
    assert re.findall(r"^[A-Z0-9_]+=.+$", example, re.MULTILINE) == []
    assert ".env" in (_ROOT / ".gitignore").read_text().splitlines()
