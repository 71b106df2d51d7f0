"""Who is champion, as MLflow's REST API says it."""

import json
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceserve.errors import RegistryUnavailable
from faceserve.models.generation import Origin
from faceserve.rollout.registry import ModelRegistry
from tests.listening import listen

TAGS = {"retraining.version": "v1.2.0", "manifest_sha256": "abc", "promoted_at": "12.5"}


def answer(tags, source="s3://models/v1.2.0/"):
    return {"model_version": {"source": source, "tags": [{"key": k, "value": v} for k, v in tags.items()]}}


@pytest.fixture
def mlflow():
    """Answers with `status` and `body`; `asked` are the paths."""

    class Own(BaseHTTPRequestHandler):
        status, body, asked, behind_seconds = 200, b"", [], 0.0
        logins: ClassVar[list[str | None]] = []

        def date_time_string(self, timestamp=None):
            return super().date_time_string(time.time() - self.behind_seconds)

        def do_GET(self):
            self.asked.append(self.path)
            self.logins.append(self.headers["Authorization"])
            self.send_response(self.status)
            self.end_headers()
            self.wfile.write(self.body)

        def log_message(self, *args):
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Own) as server:
        listen(server)
        Own.url = f"http://127.0.0.1:{server.server_port}/"
        Own.registry = ModelRegistry(Own.url)
        yield Own
        server.shutdown()


def test_the_champion_has_a_version_its_files_and_the_time_of_its_promotion(mlflow):
    mlflow.body = json.dumps(answer(TAGS)).encode()
    assert mlflow.registry.champion("laundry") == Origin("v1.2.0", "s3://models/v1.2.0/", "abc", 12.5)
    assert mlflow.asked == ["/api/2.0/mlflow/registered-models/alias?name=laundry&alias=champion"]


@pytest.mark.parametrize(("login", "header"), [((), None), (("replica", "of-it"), "Basic cmVwbGljYTpvZi1pdA==")])
def test_who_has_a_login_asks_with_it(mlflow, login, header):
    mlflow.body = json.dumps(answer(TAGS)).encode()
    assert ModelRegistry(mlflow.url, *login).champion("laundry").version == "v1.2.0"
    assert mlflow.logins[-1:] == [header]


@given(behind=st.floats(-1e6, 1e6), promoted=st.floats(1, 2e9))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_when_it_was_promoted_is_told_by_this_machines_clock(mlflow, behind, promoted):
    """The registry's is behind by so many seconds, or ahead: by that much the time that it says is another one here."""
    mlflow.body, mlflow.behind_seconds = json.dumps(answer(TAGS | {"promoted_at": str(promoted)})).encode(), behind
    assert mlflow.registry.champion("laundry").activated_at == pytest.approx(promoted + behind, rel=1e-9, abs=60)


def test_between_clocks_that_go_alike_the_time_is_as_it_was_said(mlflow):
    mlflow.body, mlflow.behind_seconds = json.dumps(answer(TAGS)).encode(), 2.0
    assert mlflow.registry.champion("laundry").activated_at == 12.5


def test_a_champion_without_a_time_was_promoted_before_everything(mlflow):
    mlflow.body = json.dumps(answer({k: v for k, v in TAGS.items() if k != "promoted_at"})).encode()
    mlflow.behind_seconds = 600.0
    assert mlflow.registry.champion("laundry").activated_at == 0.0


def test_where_there_is_none_there_is_none(mlflow, caplog):
    mlflow.status = 404
    assert mlflow.registry.champion("laundry") is None
    assert caplog.text == ""


@pytest.mark.parametrize("status", [500, 503, 401])
def test_a_registry_that_fails_has_not_answered(mlflow, status):
    mlflow.status = status
    with pytest.raises(RegistryUnavailable, match=f"the registry cannot be asked: HTTPStatusError .*{status}"):
        mlflow.registry.champion("laundry")


@pytest.mark.parametrize("url", ["http://mlflow:port", "mlflow", "", "http://[", "ftp://mlflow", "http://\0"])
def test_an_address_that_is_none_has_not_answered(url):
    with pytest.raises(RegistryUnavailable, match="the registry cannot be asked"):
        ModelRegistry(url).champion("laundry")


def test_a_registry_that_is_not_there_has_not_answered():
    with pytest.raises(RegistryUnavailable, match="ConnectError"):
        ModelRegistry("http://127.0.0.1:9").champion("laundry")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[1]", b"{}", b'{"model_version": null}', b'{"model_version": {"tags": {}}}']
    + [json.dumps(answer({k: v for k, v in TAGS.items() if k != missing})).encode() for missing in list(TAGS)[:2]]
    + [json.dumps(answer(TAGS | {"promoted_at": at})).encode() for at in ("soon", "inf", "nan", "1e400")]
    + [json.dumps(answer(TAGS | {"retraining.version": ""})).encode(), b"[" * 200_000],
    ids=lambda body: body[:40].decode(),
)
def test_a_version_that_the_pipeline_did_not_register_is_none_and_said_so(mlflow, body, caplog):
    mlflow.body = body
    assert mlflow.registry.champion("laundry") is None
    assert "the registry did not say which laundry is champion" in caplog.text
