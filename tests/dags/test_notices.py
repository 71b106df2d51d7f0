"""Who is told of model events, and how; nothing of it fails a task."""

from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import (
    AirflowNotFoundException,
    AirflowRuntimeError,
    AirflowSecretsBackendAccessDenied,
    ErrorType,
)
from airflow.sdk.execution_time import supervisor, task_runner
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.sdk.execution_time.secrets.execution_api import ExecutionAPISecretsBackend

from pipeline.domain.errors import ServiceUnavailable
from plugins import notices
from plugins.notices import channels, tell_people

NOTICE = {"id": "event-1", "subject": "v1.1.0 is live", "body": "<script> {{ 7*7 }}", "urgent": False}
SECRET = "https://hooks.example.com/secret"
_SMTP = "airflow.providers.smtp.notifications.smtp.SmtpNotifier.notify"


@pytest.fixture
def connections(monkeypatch):
    """Connections by id; asking for another one says there is none."""
    known = {}

    def get(conn_id):
        if conn_id not in known:
            raise AirflowNotFoundException(conn_id)
        return known[conn_id]

    monkeypatch.setattr(channels.BaseHook, "get_connection", staticmethod(get))
    return known


@pytest.fixture
def posted(monkeypatch):
    """What the webhook was sent; a status above 400 is answered when `posted.refuses`."""
    found = SimpleNamespace(calls=[], error=None)

    def raise_for_status():
        if found.error:
            raise found.error

    def post(address, json, timeout):
        found.calls.append((address, json, timeout))
        return SimpleNamespace(raise_for_status=raise_for_status)

    monkeypatch.setattr(channels.httpx, "post", post)
    return found


@pytest.fixture
def mailed(monkeypatch):
    found = []
    monkeypatch.setattr(
        _SMTP, lambda self, context: found.append((self.to, self.subject, self.html_content, self.smtp_conn_id))
    )
    return found


def webhook():
    return SimpleNamespace(password=SECRET, extra_dejson={})


def told(desk):
    return [values[0] for name, values, _ in desk.asked if name == "told"]


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]


@pytest.fixture(autouse=True)
def news(desk):
    desk.answers["untold"] = [NOTICE]


def test_without_news_nobody_is_told_and_no_connection_is_asked_for(desk, connections, caplog):
    desk.answers["untold"] = []
    tell_people()
    assert told(desk) == [] and warnings(caplog) == []


def test_without_a_connection_there_is_one_warning_and_no_failure(desk, connections, caplog):
    tell_people()
    assert warnings(caplog) == ["nobody is told of 1 events: no connection smtp_default or notices_webhook"]
    assert told(desk) == [["event-1"]]


def test_a_webhook_gets_plain_text(desk, connections, posted):
    connections["notices_webhook"] = webhook()
    tell_people()
    assert posted.calls == [(SECRET, {"text": "v1.1.0 is live\n<script> {{ 7*7 }}"}, 10.0)]
    assert told(desk) == [["event-1"]]


@pytest.mark.parametrize("error", [OSError("connection refused"), RuntimeError(f"404 for {SECRET}")])
def test_what_no_channel_could_send_is_told_later_and_no_secret_is_logged(desk, connections, posted, caplog, error):
    connections["notices_webhook"], posted.error = webhook(), error
    tell_people()
    assert told(desk) == []
    assert warnings(caplog) == [f"nothing could be sent through notices_webhook: {type(error).__name__}"]


class Vault:
    """A place where secrets are kept; away, it says what a real one might say of itself."""

    def __init__(self, error=None):
        self.error = error

    def get_connection(self, conn_id):
        if self.error:
            raise self.error


@pytest.mark.parametrize("error", [OSError(f"no route to {SECRET}"), PermissionError("403")])
def test_while_nobody_knows_whether_there_is_a_channel_nothing_counts_as_told(
    desk, connections, caplog, monkeypatch, error
):
    """Airflow says "not found" when a secrets backend did not answer, too."""
    monkeypatch.setattr(supervisor, "ensure_secrets_backend_loaded", lambda: [Vault(error), Vault()])
    tell_people()
    assert told(desk) == []
    assert f"connection smtp_default could not be looked up: {type(error).__name__}" in warnings(caplog)
    assert SECRET not in caplog.text
    monkeypatch.setattr(supervisor, "ensure_secrets_backend_loaded", lambda: [Vault(), Vault()])
    tell_people()
    assert told(desk) == [["event-1"]]


@pytest.mark.parametrize(("error", "counts"), [("API_SERVER_ERROR", False), ("CONNECTION_NOT_FOUND", True)])
def test_an_api_server_that_does_not_answer_is_no_missing_connection(desk, connections, monkeypatch, error, counts):
    class Comms:
        def send(self, msg):
            said = ErrorResponse(error=ErrorType(error))
            if error == "API_SERVER_ERROR":
                raise AirflowRuntimeError(error=said)
            return said

    monkeypatch.setattr(supervisor, "ensure_secrets_backend_loaded", lambda: [ExecutionAPISecretsBackend()])
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Comms(), raising=False)
    tell_people()
    assert told(desk) == ([["event-1"]] if counts else [])


def test_a_connection_that_may_not_be_read_fails_nothing(desk, monkeypatch, caplog):
    def get(conn_id):
        raise AirflowSecretsBackendAccessDenied("no")

    monkeypatch.setattr(channels.BaseHook, "get_connection", staticmethod(get))
    tell_people()
    assert told(desk) == [] and len(warnings(caplog)) == 4


def test_one_channel_that_could_send_is_enough_and_both_are_tried(desk, connections, posted, mailed):
    connections |= {"notices_webhook": webhook(), "smtp_default": SimpleNamespace(extra_dejson={"to": "ops@a.example"})}
    posted.error = OSError("connection refused")
    tell_people()
    assert (len(posted.calls), len(mailed)) == (1, 1)
    assert told(desk) == [["event-1"]]


def test_mail_shows_markup_as_text_and_renders_no_template(desk, connections, mailed):
    connections["smtp_default"] = SimpleNamespace(extra_dejson={"to": "ops@example.com"})
    tell_people()
    body = "<p>&lt;script&gt; {{ 7*7 }}</p>"
    assert mailed == [("ops@example.com", "v1.1.0 is live", body, "smtp_default")]
    assert told(desk) == [["event-1"]]


def test_slow_channels_are_left_in_time_and_go_on_where_they_were(desk, connections, posted, caplog, monkeypatch):
    connections["notices_webhook"] = webhook()
    desk.answers["untold"] = [{**NOTICE, "id": f"event-{n}"} for n in (1, 2, 3)]
    clock = iter((0.0, 1.0, 40.0, 70.0))
    monkeypatch.setattr(notices.time, "monotonic", lambda: next(clock))
    tell_people()
    assert told(desk) == [["event-1"], ["event-2"]]
    assert warnings(caplog) == ["people are told of the rest later: the channels are slow"]


def test_a_mail_connection_without_an_address_says_what_to_add(desk, connections, mailed, caplog):
    connections["smtp_default"] = SimpleNamespace(extra_dejson={})
    tell_people()
    assert warnings(caplog) == ["connection smtp_default names nobody to write to: add `to` to its extra"]
    assert mailed == [] and told(desk) == []


def test_a_database_that_is_away_fails_nothing(desk, connections, caplog):
    desk.answers["untold"] = ServiceUnavailable("the mlops database", "gone")
    tell_people()
    assert warnings(caplog) == ["people are told later: the mlops database is unavailable: gone"]
    assert told(desk) == []
