"""Each account of MLflow tries what it must not, and does what it is for; nobody comes in without one."""

import httpx
import psutil
import pytest

from faceserve.errors import RegistryUnavailable
from faceserve.rollout.registry import ModelRegistry
from include.stack import runner
from include.stack.registry_logins import ADMINISTRATOR, PIPELINE, REPLICA

pytestmark = pytest.mark.integration

MODELS, EXPERIMENTS = "/api/2.0/mlflow/registered-models", "/api/2.0/mlflow/experiments"
USERS, ALIAS = "/api/2.0/mlflow/users", f"{MODELS}/alias"
KIM = ("kim-of-quality", "a-password-of-kim")


@pytest.fixture(scope="module")
def stack(running_services):
    stack = running_services.stack
    runner.up(stack.root, lambda text: None, ["postgres", "s3", "mlflow"])
    return stack


def test_no_second_process_only_waits_for_the_server(stack):
    (state,) = [one for one in runner.states(stack) if one["name"] == "mlflow"]
    assert "uvicorn" in psutil.Process(state["pid"]).cmdline()
    assert psutil.Process(state["pid"]).children() == []


@pytest.fixture(scope="module")
def ask(stack):
    """The status with which MLflow answers, to an account of ours or to a pair of name and password."""

    def asked(who, method, path, **body):
        pair = (who.name, stack.secrets[who.secret]) if hasattr(who, "secret") else who
        how = {"params": body} if method == "GET" else {"json": body}
        url = f"http://127.0.0.1:{stack.port('mlflow')}{path}"
        return httpx.request(method, url, auth=pair, timeout=60, **how).status_code

    return asked


@pytest.fixture(scope="module")
def champion(ask):
    """A model with a champion, and an experiment, which the pipeline made."""
    assert ask(PIPELINE, "POST", f"{MODELS}/create", name="looked-after") == 200
    version = {"name": "looked-after", "source": "s3://models/v1/"}
    assert ask(PIPELINE, "POST", "/api/2.0/mlflow/model-versions/create", **version) == 200
    assert ask(PIPELINE, "POST", ALIAS, name="looked-after", alias="champion", version="1") == 200
    return {"name": "looked-after", "alias": "champion"}


@pytest.mark.parametrize(
    "stranger",
    [
        None,
        ("nobody", "x"),
        ("admin", ""),
        ("admin", "password1234"),
        ("pipeline", "guess"),
        ("replica", " "),
        ("", ""),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ALIAS),
        ("POST", f"{MODELS}/create"),
        ("POST", f"{EXPERIMENTS}/search"),
        ("GET", "/"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/model.pb"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/model.pb"),
        ("POST", f"{USERS}/create"),
        ("POST", "/graphql"),
    ],
)
def test_nobody_comes_in_without_a_login(ask, champion, stranger, method, path):
    assert ask(stranger, method, path, **champion) == 401


def test_whether_it_is_well_mlflow_tells_everybody(ask):
    assert ask(None, "GET", "/health") == 200


def test_a_replica_hears_who_is_champion(ask, champion):
    assert ask(REPLICA, "GET", ALIAS, **champion) == 200


def test_before_there_is_a_model_a_replica_hears_that_there_is_none(ask, champion):
    """Refused instead, it would ask every few seconds for ever, and say that the registry does not answer."""
    assert ask(REPLICA, "GET", ALIAS, name="never-made", alias="champion") == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ALIAS),
        ("DELETE", ALIAS),
        ("POST", f"{MODELS}/create"),
        ("DELETE", f"{MODELS}/delete"),
        ("GET", f"{MODELS}/get"),
        ("GET", f"{ALIAS}/"),
        ("GET", "/ajax-api/2.0/mlflow/registered-models/alias"),
        ("POST", "/api/2.0/mlflow/model-versions/create"),
        ("POST", "/api/2.0/mlflow/model-versions/set-tag"),
        ("POST", f"{EXPERIMENTS}/create"),
        ("POST", "/api/2.0/mlflow/runs/search"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/model.pb"),
        ("POST", f"{USERS}/create"),
        ("PATCH", f"{USERS}/update-password"),
    ],
)
def test_a_replica_may_nothing_else(ask, champion, method, path):
    assert ask(REPLICA, method, path, **champion, version="1") == 403
    assert ask(PIPELINE, "GET", ALIAS, **champion) == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{USERS}/create", {"username": "mallory", "password": "a-long-password"}),
        ("GET", f"{USERS}/list", {}),
        ("GET", "/signup", {}),
        ("POST", "/api/3.0/mlflow/roles/create", {"name": "all", "workspace": "default"}),
        ("POST", "/ajax-api/2.0/mlflow/users/create", {"username": "mallory", "password": "a-long-password"}),
        ("POST", "/api/2.0/mlflow/webhooks", {"name": "out", "url": "https://elsewhere", "events": []}),
        ("PATCH", f"{USERS}/update-admin", {"username": "replica", "is_admin": True}),
        ("PATCH", f"{USERS}/update-password", {"username": "admin", "password": "a-long-password"}),
    ],
)
def test_the_pipeline_lets_nobody_in(ask, champion, method, path, body):
    assert ask(PIPELINE, method, path, **body) == 403


def test_whom_an_administrator_lets_in_reads_and_changes_nothing(ask, champion):
    name, password = KIM
    assert ask(ADMINISTRATOR, "POST", f"{USERS}/create", username=name, password=password) == 200
    assert ask(KIM, "GET", ALIAS, **champion) == 200
    assert ask(KIM, "POST", ALIAS, **champion, version="1") == 403
    assert ask(KIM, "DELETE", f"{MODELS}/delete", name="looked-after") == 403
    assert ask((name, "guess"), "GET", ALIAS, **champion) == 401


def test_what_the_pipeline_made_people_may_change_and_the_pipeline_what_people_made(ask, champion):
    assert ask(ADMINISTRATOR, "POST", ALIAS, **champion, version="1") == 200
    assert ask(ADMINISTRATOR, "POST", f"{MODELS}/create", name="made-by-people") == 200
    assert ask(PIPELINE, "DELETE", f"{MODELS}/delete", name="made-by-people") == 200


def test_a_replica_with_another_password_has_no_answer_rather_than_none(stack, champion):
    url = f"http://127.0.0.1:{stack.port('mlflow')}"
    with pytest.raises(RegistryUnavailable, match="401"):
        ModelRegistry(url, REPLICA.name, "guess").champion("looked-after")
