"""At which addresses MLflow answers: where links send people's browsers, and nowhere that nobody named."""

import pytest
import yaml
from flask import Flask
from mlflow.server.security import init_security_middleware

from include.stack.layout import REPOSITORY
from include.stack.mlflow_server import answered

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
