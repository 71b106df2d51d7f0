"""Who is told of model events, and how; nothing of it fails a task."""

import json
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import httpx
import pytest
from airflow.sdk import Connection
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
from plugins.notices.send_test import send_test
from tests.fakes.mail import mail_server

NOTICE = {"id": "event-1", "subject": "v1.1.0 is live", "body": "<script> {{ 7*7 }}", "urgent": False}
SECRET = "https://hooks.example.com/secret"
PASSWORD = "mail-secret"


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
    """What the webhook was sent; it answers `posted.status`, or fails with `posted.error`."""
    found = SimpleNamespace(calls=[], error=None, status=200)

    def post(address, json, timeout):
        found.calls.append((address, json, timeout))
        if found.error:
            raise found.error
        return httpx.Response(found.status, request=httpx.Request("POST", address))

    monkeypatch.setattr(channels.httpx, "post", post)
    return found


@pytest.fixture
def mail(connections):
    with mail_server() as server:
        yield server


def mail_connection(server, login=None, **extra):
    """As `airflow connections add` makes it, without encryption."""
    extra = {"disable_ssl": True, "disable_tls": True, "retry_limit": 1, **extra}
    return Connection(
        conn_id="smtp_default",
        conn_type="smtp",
        host="127.0.0.1",
        port=server.port,
        login=login,
        password=PASSWORD,
        extra=json.dumps(extra),
    )


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


def test_while_another_task_tells_nobody_is_told_twice(desk, connections, posted):
    connections["notices_webhook"] = webhook()
    desk.answers["telling"] = nullcontext(False)
    tell_people()
    assert (posted.calls, told(desk)) == ([], [])


@pytest.mark.parametrize("last", ["during its turn", "as its turn ends"])
def test_what_comes_while_a_task_tells_is_told_by_it_for_the_other_one_leaves(desk, connections, posted, last):
    connections["notices_webhook"] = webhook()
    late, known = {**NOTICE, "id": "event-2", "urgent": True}, [NOTICE]
    desk.answers["untold"] = lambda: [one for one in known if [one["id"]] not in told(desk)]

    @contextmanager
    def turn():
        yield True
        if last == "as its turn ends" and late not in known:
            known.append(late)

    def post(ids):
        if last == "during its turn" and late not in known:
            known.append(late)

    desk.answers |= {"telling": turn, "told": post}
    tell_people()
    assert told(desk) == [["event-1"], ["event-2"]]


def test_what_cannot_be_sent_is_tried_once_by_a_task(desk, connections, posted):
    connections["notices_webhook"], posted.error = webhook(), OSError("connection refused")
    tell_people()
    assert (len(posted.calls), told(desk)) == (1, [])


def test_without_a_connection_there_is_one_warning_and_no_failure(desk, connections, caplog):
    tell_people()
    assert warnings(caplog) == ["nobody is told of 1 events: no connection smtp_default or notices_webhook"]
    assert told(desk) == [["event-1"]]


def test_without_a_connection_what_is_urgent_waits_for_one(desk, connections, posted, caplog):
    desk.answers["untold"] = [{**NOTICE, "urgent": True}, {**NOTICE, "id": "event-2"}]
    tell_people()
    assert told(desk) == [["event-2"]]
    connections["notices_webhook"] = webhook()
    tell_people()
    assert told(desk)[1:] == [["event-1"], ["event-2"]]


def test_a_webhook_gets_plain_text(desk, connections, posted):
    connections["notices_webhook"] = webhook()
    tell_people()
    assert posted.calls == [(SECRET, {"text": "v1.1.0 is live\n<script> {{ 7*7 }}"}, 10.0)]
    assert told(desk) == [["event-1"]]


@pytest.mark.parametrize(
    "refusal",
    [
        (OSError("connection refused"), "OSError: connection refused"),
        (RuntimeError(f"404 for {SECRET}"), "RuntimeError: 404 for ***"),
        (404, "OSError: it answered 404 Not Found"),
        (302, "OSError: it answered 302 Found"),
    ],
)
def test_what_no_channel_could_send_is_told_later_with_the_reason_and_without_a_secret(
    desk, connections, posted, caplog, refusal
):
    error, said = refusal
    connections["notices_webhook"] = webhook()
    posted.error, posted.status = (None, error) if isinstance(error, int) else (error, 200)
    tell_people()
    assert told(desk) == []
    assert warnings(caplog) == [f"nothing could be sent through notices_webhook: {said}"]


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


def test_one_channel_that_could_send_is_enough_and_both_are_tried(desk, connections, posted, mail):
    connections |= {"notices_webhook": webhook(), "smtp_default": mail_connection(mail, to="ops@a.example")}
    posted.error = OSError("connection refused")
    tell_people()
    assert (len(posted.calls), len(mail.mails)) == (1, 1)
    assert told(desk) == [["event-1"]]


def test_mail_shows_markup_as_text_and_renders_no_template(desk, connections, mail):
    connections["smtp_default"] = mail_connection(mail, to="ops@example.com")
    tell_people()
    (came,) = mail.mails
    assert (came["To"], came["Subject"]) == ("ops@example.com", "v1.1.0 is live")
    assert came.get_body().get_content().strip() == "<p>&lt;script&gt; {{ 7*7 }}</p>"
    assert told(desk) == [["event-1"]]


@pytest.mark.parametrize(
    "case",
    [
        (None, {}, "ops@example.com"),
        ("robot", {}, "ops@example.com"),
        ("robot@example.com", {}, "robot@example.com"),
        ("robot@example.com", {"from_email": "mlops@example.com"}, "mlops@example.com"),
        (None, {"to": "first@example.com, second@example.com"}, "first@example.com"),
        (None, {"to": ["first@example.com", "second@example.com"]}, "first@example.com"),
    ],
)
def test_every_mail_has_a_sender(desk, connections, mail, case):
    login, extra, sender = case
    connections["smtp_default"] = mail_connection(mail, login, **{"to": "ops@example.com", **extra})
    tell_people()
    assert mail.senders == [sender] and mail.mails[0]["From"] == sender
    assert told(desk) == [["event-1"]]


def test_a_mail_server_that_refuses_is_quoted(desk, connections, mail, caplog):
    connections["smtp_default"] = mail_connection(mail, to="ops@example.com")
    mail.refuses = f"550 no relaying for {PASSWORD}".encode()
    tell_people()
    assert told(desk) == [] and mail.mails == []
    (warning,) = warnings(caplog)
    assert "550, b'no relaying for ***'" in warning


def test_slow_channels_are_left_in_time_and_go_on_where_they_were(desk, connections, posted, caplog, monkeypatch):
    connections["notices_webhook"] = webhook()
    desk.answers["untold"] = [{**NOTICE, "id": f"event-{n}"} for n in (1, 2, 3)]
    clock = iter((0.0, 1.0, 40.0, 70.0))
    # Its own, for other threads look at the time, too.
    monkeypatch.setattr(notices, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    tell_people()
    assert told(desk) == [["event-1"], ["event-2"]]
    assert warnings(caplog) == ["people are told of the rest later: the channels are slow"]


def test_a_mail_connection_without_an_address_says_what_to_add(desk, connections, mail, caplog):
    connections["smtp_default"] = mail_connection(mail)
    tell_people()
    (warning,) = warnings(caplog)
    assert warning.endswith("it names nobody to write to: add `to` to its extra")
    assert mail.mails == [] and told(desk) == []


@pytest.mark.parametrize(
    "case",
    [
        ([], 1, ["smtp_default: no such connection", "notices_webhook: no such connection"]),
        (["smtp_default"], 0, ["smtp_default: sent", "notices_webhook: no such connection"]),
        (["smtp_default", "notices_webhook"], 1, ["smtp_default: sent", "notices_webhook: NOT SENT"]),
    ],
)
def test_a_test_notice_says_which_channel_took_it(connections, mail, posted, capsys, case):
    known, status, said = case
    posted.error = OSError("connection refused")
    all_of_them = {"smtp_default": mail_connection(mail, to="ops@example.com"), "notices_webhook": webhook()}
    connections.update({name: all_of_them[name] for name in known})
    assert send_test() == status
    assert capsys.readouterr().out.splitlines() == said
    assert [m["Subject"] for m in mail.mails] == ["A test notice"] * ("smtp_default" in known)


def test_a_database_that_is_away_fails_nothing(desk, connections, caplog):
    desk.answers["untold"] = ServiceUnavailable("the mlops database", "gone")
    tell_people()
    assert warnings(caplog) == ["people are told later: the mlops database is unavailable: gone"]
    assert told(desk) == []
