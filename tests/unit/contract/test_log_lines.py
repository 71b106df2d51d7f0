"""A line of the log says what it is about, is one line, and holds no secret, in whatever form."""

import json
import logging
import os
import subprocess
import sys
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider

from include.contract.log_lines import JsonLines, PlainLines, hidden, saying
from include.stack.layout import REPOSITORY

REFUSED = "value too long\nDETAIL:  Failing row contains (T-1, 김 고객의 셔츠, s3://tasks/kim.jpg).\n"
FORMS = [JsonLines({}), PlainLines("%(asctime)s %(levelname)s %(message)s")]


def record(message, *values, error=None, **extra):
    made = logging.LogRecord("pipeline.steps.train", logging.INFO, __file__, 1, message, values, error)
    vars(made).update(extra)
    return made


def as_json(*said, always=(), **more):
    text = JsonLines(dict(always)).format(record(*said, **more))
    assert "\n" not in text
    return json.loads(text)


def test_a_line_says_when_who_and_what_it_is_about():
    with saying({"run_id": "run-1", "dataset_id": "DS-2026-001"}), saying({"version": "v1.1.0"}):
        line = as_json("attempt %d failed", 2, always={"replica": "replica-1"})
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "pipeline.steps.train",
        "message": "attempt 2 failed",
        "replica": "replica-1",
        "run_id": "run-1",
        "dataset_id": "DS-2026-001",
        "version": "v1.1.0",
    }
    assert "run_id" not in as_json("the next thing")


def test_within_a_trace_a_line_names_it():
    with TracerProvider().get_tracer("test").start_as_current_span("work") as span:
        assert as_json("done")["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert "trace_id" not in as_json("done")


def test_of_what_is_given_beside_a_message_only_what_a_line_may_be_about_gets_into_it():
    assert as_json("done", version="v1.0.0", reason="김 고객의 셔츠").keys() >= {"version"}
    assert "셔츠" not in JsonLines({}).format(record("done", reason="김 고객의 셔츠"))


def test_a_row_that_the_database_refuses_is_not_quoted():
    try:
        raise ValueError(REFUSED)
    except ValueError:
        shown = [form.format(record("it cannot be stored", error=sys.exc_info())) for form in FORMS]
    assert all("value too long" in text and "셔츠" not in text and "kim.jpg" not in text for text in shown)


_SPACES_AND_QUOTES = {"exclude_categories": ("Cc", "Cs", "Zs", "Zl", "Zp"), "exclude_characters": "'\""}
_PASSWORDS = st.text(st.characters(**_SPACES_AND_QUOTES), min_size=8)


@pytest.mark.parametrize(
    "said",
    [
        "amqp://retraining:{}@rabbitmq:5672/%2F is out of reach",
        "cannot reach postgresql://mlops:{}@postgres:5432/mlops (timeout)",
        "connection to host=db password={} failed",
        '"secret_access_key": "{}", "region": "us-east-1"',
    ],
)
@given(password=_PASSWORDS)
@example(password="pa/ss@wo:rd")
def test_no_password_gets_into_a_line(said, password):
    password = password.replace(",", ".")
    for form in FORMS:
        for way in (password, quote(password, safe="")):
            assert f"S3CRET{way}" not in form.format(record("%s", said.format(f"S3CRET{way}")))


@pytest.mark.parametrize("said", ["Bearer aGVsbG8.d29ybGQ=", "authorization: Basic dXNlcjpwYXNz", "token=abc123456"])
def test_no_token_gets_into_a_line(said):
    assert said.split()[-1].split("=")[-1 if "token" in said else 0] not in hidden(said)


@pytest.mark.parametrize(
    "said",
    [
        "https://s3/report.html?X-Amz-Credential=S3CRET%2Fs3&X-Amz-Signature=S3CRET&X-Amz-Security-Token=S3CRET",
        "access_token=S3CRET",
        "{'refresh_token': 'S3CRET, S3CRET and S3CRET'}",
        '{"client_secret": "S3CRET, S3CRET \\"S3CRET\\" S3CRET"}',
        "password = 'S3CRET S3CRET",
        "PGPASSWORD=S3CRET,S3CRET",
        "api_key=S3CRET",
        "x-api-key: S3CRET",
        "Authorization: token S3CRET S3CRET",
        "{'Cookie': 'session=S3CRET; more=S3CRET'}",
        "AWS_SECRET_ACCESS_KEY=S3CRET/S3CRET",
        "RETRAIN_SIGNING_KEY=S3CRET",
        "new row violates a check; DETAIL:  Failing row contains (1, S3CRET,\nS3CRET on a second line).",
        "Failing row contains (1, S3CRET, S3CRET)",
        "Key (task_id)=(S3CRET) already exists",
    ],
)
def test_nothing_that_opens_a_door_and_no_word_of_a_row_gets_into_a_line(said):
    for form in FORMS:
        assert "S3CRET" not in form.format(record("%s", said)) and "***" in form.format(record("%s", said))


def test_after_what_is_hidden_a_line_goes_on():
    assert hidden("https://s3/a?X-Amz-Signature=x is there") == "https://s3/a?X-Amz-Signature=*** is there"
    assert hidden("password='a b' is wrong") == "password=*** is wrong"
    assert hidden("DETAIL:  Key (a)=(b) is there.\nHINT: use another") == "DETAIL: ***\nHINT: use another"


def test_what_is_no_secret_is_not_touched():
    address, change = "http://127.0.0.1:9000 does not answer", "v1.1.0 -> v1.2.0"
    for said in (address, change, "tokens stay as they were: no such file", "key: value"):
        assert hidden(said) == said


def said_by(form, *command):
    """What a program says that nothing answers: its exit status, and the messages of its log."""
    variables = {
        **os.environ,
        "RETRAIN_LOG_FORMAT": form,
        "RETRAIN_NO_SETTING": "1",
        "RETRAIN_AMQP_URL": "amqp://retraining:S3CRET@127.0.0.1:1/%2F",
        "RETRAIN_MLOPS_DSN": "postgresql://mlops:S3CRET@127.0.0.1:1/mlops",
    }
    done = subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False
    )
    assert done.stdout == "" and "S3CRET" not in done.stderr
    lines = done.stderr.splitlines()
    return done.returncode, [json.loads(line)["message"] for line in lines] if form == "json" else lines


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("command", ["accumulate", "history"])
def test_all_that_a_command_says_beside_its_answer_is_on_stderr_in_the_form_that_was_chosen(form, command):
    status, said = said_by(form, "-m", "pipeline", command)
    assert status == 75 and "RETRAIN_NO_SETTING" in said[0] and said[-1].startswith("try again: ")
    if command == "history":
        assert any("tried again in " in line for line in said[1:-1])


_OTHER_WAYS = """
import threading, warnings
import stamina
from include.contract.log_lines import write_lines

write_lines("json")
warnings.warn("amqp://retraining:S3CRET@broker is old")
for attempt in stamina.retry_context(on=OSError, attempts=2, wait_initial=0, wait_jitter=0):
    with attempt:
        if attempt.num == 1:
            raise OSError("amqp://retraining:S3CRET@broker is away")
beside = threading.Thread(target=lambda: int("token=S3CRET"))
beside.start()
beside.join()
raise ValueError("password=S3CRET")
"""


def test_what_libraries_and_python_say_in_their_own_ways_is_in_the_log_too():
    status, [warned, retried, beside, ended] = said_by("json", "-c", _OTHER_WAYS)
    assert status == 1 and "UserWarning: amqp://retraining:***@broker is old" in warned
    assert retried.startswith("amqp://retraining:***@broker is away: tried again in ")
    assert beside == ended == "ended by ValueError"
