"""At which addresses MLflow answers: where links send people's browsers, and nowhere that nobody named."""

import pytest
import yaml
from click.testing import CliRunner
from flask import Flask
from mlflow.server.security import init_security_middleware

from include.stack import mlflow_server
from include.stack.layout import REPOSITORY
from include.stack.mlflow_server import answered
from include.stack.registry_logins import ACCOUNTS

HOSTS, ORIGINS = "MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"
IN_COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())["services"]["mlflow"]["environment"]


@pytest.mark.parametrize(
    ("public", "asked", "code"),
    [
        ("https://mlflow.example.com/", "https://mlflow.example.com", 200),
        ("http://ops-host:5000", "http://ops-host:5000", 200),
        ("http://ops-host:5000", "http://127.0.0.1:5000", 200),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000", 200),
        ("https://mlflow.example.com", "https://elsewhere.example.com", 403),
        ("http://127.0.0.1:5000", "http://ops-host:5000", 403),
        # As browsers say it: no port that is usual, ASCII, small letters.
        ("https://ops:443/", "https://ops", 200),
        ("http://ops:80", "http://ops", 200),
        ("http://ops:443", "http://ops:443", 200),
        ("HTTPS://Ops:8443", "https://ops:8443", 200),
        ("https://모델.example", "https://xn--bo1b89k.example", 200),
        ("http://[2001:DB8:0::1]:80", "http://[2001:db8::1]", 200),
        ("https://somebody:word@ops", "https://ops", 200),
    ],
)
def test_browsers_are_answered_at_the_address_that_links_name_and_at_no_other(monkeypatch, public, asked, code):
    given = {HOSTS: IN_COMPOSE[HOSTS], "MLFLOW_PUBLIC_URL": public}
    for name, value in (given | answered(given, "5000")).items():
        monkeypatch.setenv(name, value)
    app = Flask(__name__)
    init_security_middleware(app)
    app.add_url_rule("/api/run", view_func=lambda: "done", methods=["GET", "POST"])
    client, host = app.test_client(), asked.partition("//")[2]
    assert client.get("/api/run", headers={"Host": host}).status_code == code
    # A page of its own that changes something, and one of somebody else.
    assert client.post("/api/run", headers={"Host": host, "Origin": asked}).status_code == code
    assert client.post("/api/run", headers={"Host": host, "Origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, {}),
        ({HOSTS: "mlflow:5000"}, {}),
        ({"MLFLOW_PUBLIC_URL": " "}, {}),
        (
            {"MLFLOW_PUBLIC_URL": "http://Ops:5000"},
            {HOSTS: "127.0.0.1:9,localhost:9,ops:5000", ORIGINS: "http://ops:5000"},
        ),
        (
            {"MLFLOW_PUBLIC_URL": "https://ops", HOSTS: "mlflow:5000", ORIGINS: "https://notes"},
            {HOSTS: "mlflow:5000,ops", ORIGINS: "https://notes,https://ops"},
        ),
    ],
)
def test_a_public_address_is_added_to_what_was_named_before(given, told):
    assert answered(given, "9") == told


@pytest.mark.parametrize(
    "public",
    [
        "ops.example.com",
        "ops:5000",
        "ftp://ops",
        "https://",
        "https://ops:port",
        "https://ops:70000",
        "https://*",
        "//ops",
    ],
)
def test_a_public_address_that_is_none_is_refused_in_a_sentence_at_the_start(monkeypatch, public):
    """MLflow would start, and answer nobody where people are sent."""
    for account in ACCOUNTS:
        monkeypatch.setenv(account.variable, "a password")
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "postgresql://mlflow@127.0.0.1/mlflow")
    monkeypatch.setenv("MLFLOW_PUBLIC_URL", public)
    # Whatever comes after it would start a server here.
    monkeypatch.setattr(mlflow_server, "configure", lambda *asked: pytest.fail("it went on to start"))
    monkeypatch.setattr(mlflow_server, "_become", lambda *asked, **named: pytest.fail("it started"))
    started = CliRunner().invoke(mlflow_server.main, ["127.0.0.1", "5000"], catch_exceptions=False)
    assert (started.exit_code, started.output.strip()) == (
        1,
        "refused: MLFLOW_PUBLIC_URL is no address such as https://mlflow.example.com",
    )
