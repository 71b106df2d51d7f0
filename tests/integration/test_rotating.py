"""A secret of the stack becomes another one: what was there before opens nothing any more, and everything goes on."""

import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import boto3
import httpx
import pika
import psycopg2
import pytest
from botocore.exceptions import ClientError

from include.contract.channel import FaceserveError
from include.contract.lifecycle_client import LifecycleClient
from include.stack import rotating, runner
from include.stack.door_tokens import SECRETS as DOORS_OF_REPLICAS
from include.stack.knowing import told
from include.stack.layout import load
from include.stack.object_keys import SECRETS as KEYS
from include.stack.object_keys import key_of
from include.stack.registry_logins import ACCOUNTS
from include.stack.runner import all_services
from include.stack.services import Program, Service, StackError
from include.stack.supervision import Supervision
from tests.waiting import until

# Starts of stacks of its own; that a password counts from the next start on is also in test_roles.py.
pytestmark = [pytest.mark.integration, pytest.mark.slow]

SERVICES = ["postgres", "rabbitmq", "s3", "mlflow"]
LOGINS = {account.secret: account.name for account in ACCOUNTS}
ROTATED = ["postgres", "mlops", "mlops_owner", "backup", "rabbitmq", "rabbitmq_helper", "erlang_cookie"]
ROTATED += [*KEYS.values(), *LOGINS]


def enter_postgres(stack, role):
    database = {"backup": "postgres", "postgres": "postgres"}.get(role, "mlops")
    with closing(psycopg2.connect(stack.dsn(role, database))):
        return True


def enter_rabbitmq(stack, name):
    url = stack.amqp_url if name == "rabbitmq" else stack.amqp_url_of(name.removeprefix("rabbitmq_"))
    with closing(pika.BlockingConnection(pika.URLParameters(url))):
        return True


def enter_s3(stack, component):
    key = key_of(component, stack.secrets)
    how = {"aws_access_key_id": key["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": key["AWS_SECRET_ACCESS_KEY"]}
    client = boto3.client("s3", endpoint_url=stack.s3_endpoint, region_name="us-east-1", **how)
    return len(client.list_buckets()["Buckets"]) > 0


def enter_mlflow(stack, name):
    url = f"http://127.0.0.1:{stack.port('mlflow')}/api/2.0/mlflow/registered-models/alias"
    asked = httpx.get(url, params={"name": "any", "alias": "any"}, auth=(LOGINS[name], stack.secrets[name]), timeout=60)
    if asked.status_code == httpx.codes.UNAUTHORIZED:
        asked.raise_for_status()
    return True


REFUSED = (httpx.HTTPStatusError, psycopg2.OperationalError, pika.exceptions.ProbableAuthenticationError, ClientError)
DOORS = [
    *((enter_postgres, name, name) for name in ("postgres", "mlops", "mlops_owner", "backup")),
    *((enter_rabbitmq, name, name) for name in ("rabbitmq", "rabbitmq_helper")),
    *((enter_mlflow, name, name) for name in LOGINS),
    *((enter_s3, component, name) for component, name in KEYS.items()),
]


def up(root, services=SERVICES):
    return runner.up(root, lambda text: None, services, preferred_ports=False)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """One before and after its secrets became others, while it was down; it is up."""
    root = tmp_path_factory.mktemp("rotated")
    before = up(root)
    with pytest.raises(StackError, match="make down"):
        rotating.rotate(before, "mlops")
    runner.down(root)
    for name in ROTATED:
        rotating.rotate(load(root), name)
    yield before, up(root)
    runner.clean(root)


@pytest.mark.parametrize(("enter", "who", "secret"), DOORS)
def test_what_was_there_before_opens_nothing_any_more_and_the_new_one_does(stacks, enter, who, secret):
    before, after = stacks
    assert before.secrets[secret] != after.secrets[secret]
    until(lambda: enter(after, who), f"the new {secret} to open")
    with pytest.raises(REFUSED):
        enter(before, who)


def test_a_secret_that_nobody_changed_is_the_same(stacks):
    before, after = stacks
    same = {name for name in before.secrets if before.secrets[name] == after.secrets[name]}
    assert same == set(before.secrets) - set(ROTATED)
    assert enter_postgres(after, "mlops_viewer") and enter_rabbitmq(after, "rabbitmq_watcher")


@pytest.fixture
def root(tmp_path):
    """Of a stack of one service, `postgres`."""
    yield tmp_path
    runner.clean(tmp_path)


def test_a_copy_of_the_databases_from_before_comes_back_with_the_password_of_now(root):
    before = up(root, ["postgres"])
    runner.down(root)
    data, copy = root / "postgres/data", root / "postgres/restored"
    subprocess.run(["cp", "-a", data, copy], check=True)
    # The first command was killed, as far as who gave it knows: it is done again, with no start between.
    for _ in range(2):
        rotating.rotate(load(root), "postgres")
    after = up(root, ["postgres"])
    assert enter_postgres(after, "postgres")
    with pytest.raises(psycopg2.OperationalError):
        enter_postgres(before, "postgres")
    runner.down(root)
    data.rename(root / "postgres/data-before")
    copy.rename(data)
    assert enter_postgres(up(root, ["postgres"]), "postgres")
    with pytest.raises(psycopg2.OperationalError):
        enter_postgres(before, "postgres")


def test_a_password_that_cannot_be_given_is_one_sentence_without_it(root):
    up(root, ["postgres"])
    runner.down(root)
    rotating.rotate(load(root), "postgres")
    (root / "postgres/data/global/pg_control").unlink()
    with pytest.raises(StackError, match="PostgreSQL's superuser got no password: ") as refused:
        up(root, ["postgres"])
    assert load(root).secrets["postgres"] not in str(refused.value)


def test_what_opens_the_replicas_doors_changes_while_requests_flow_and_none_fails(tmp_path, monkeypatch):
    """Who calls them is a program that shows what it knows."""
    seen = tmp_path / "known-to-the-caller"

    def with_caller(stack):
        shows = f"import os, time; open({str(seen)!r}, 'a').write(os.environ['RETRAIN_FACESERVE_TOKEN'] + chr(10))"
        command = (sys.executable, "-c", f"{shows}; time.sleep(3600)")
        caller = Program("caller", command, seen.exists, environment=told(stack, "RETRAIN_FACESERVE_TOKEN"))
        return [*all_services(stack), Service("caller", (caller,))]

    for module in (runner, rotating):
        monkeypatch.setattr(module, "all_services", with_caller)
    root = tmp_path / "stack"
    before = up(root, ["s3", "faceserve", "caller"])
    replicas = ("faceserve_1", "faceserve_2")
    started = [Supervision(before).pid(name) for name in replicas]
    answers, ended, restarted = Counter(), threading.Event(), _noticed(monkeypatch, "renew")

    def ask(address):
        while not ended.is_set():
            token = load(root).secrets["faceserve"]
            with LifecycleClient(address, token=token, timeout_seconds=60) as client:
                answer = _answer(lambda: client.status("laundry"))
            # One that came too late would have been started again before.
            if answer == "OK" or token == load(root).secrets["faceserve"]:
                answers[answer] += 1

    def ask_as_before():
        while not (ended.is_set() or restarted.is_set()):
            opened = _opens(before, before.secrets["faceserve"])
            answers["OK" if opened or restarted.is_set() else "refused"] += 1

    try:
        with ThreadPoolExecutor(3) as some:
            asking = [some.submit(ask, address) for address in before.lifecycle_addresses]
            asking.append(some.submit(ask_as_before))
            try:
                until(lambda: sum(answers.values()) > 20, "requests to flow")
                rotating.rotate(before, "faceserve")
                rotating.rotate(load(root), "faceserve_enrolment")
                many = sum(answers.values())
                until(lambda: sum(answers.values()) > many + 20, "requests to flow on")
            finally:
                ended.set()
            [one.result() for one in asking]
        after = load(root)
        assert set(answers) == {"OK"}, answers
        assert [Supervision(after).pid(name) for name in replicas] == started
        until(lambda: len(seen.read_text().split()) > 1, "the caller to be there again")
        assert seen.read_text().split() == [before.secrets["faceserve"], after.secrets["faceserve"]]
        for calls, secret in DOORS_OF_REPLICAS.items():
            assert (root / "tokens" / calls).read_text().split() == [after.secrets[secret]] != [before.secrets[secret]]
        until(lambda: not _opens(after, before.secrets["faceserve"]), "the old token to open nothing")
        assert _opens(after, after.secrets["faceserve"])
    finally:
        runner.clean(root)


def _noticed(monkeypatch, what):
    """Set once supervision has done that."""
    done, act = threading.Event(), getattr(Supervision, what)

    def act_and_say(*about):
        act(*about)
        done.set()

    monkeypatch.setattr(Supervision, what, act_and_say)
    return done


def _answer(call):
    try:
        call()
    except FaceserveError as error:
        return error.code
    return "OK"


def _opens(stack, token):
    with LifecycleClient(stack.lifecycle_addresses[0], token=token, timeout_seconds=60) as client:
        return _answer(lambda: client.status("laundry")) == "OK"


def test_a_key_opens_nothing_with_the_secret_of_another(stacks):
    _, stack = stacks
    mixed = {**stack.secrets, KEYS["helper"]: stack.secrets[KEYS["faceserve"]]}
    key = key_of("helper", mixed)
    how = {"aws_access_key_id": key["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": key["AWS_SECRET_ACCESS_KEY"]}
    with pytest.raises(ClientError):
        boto3.client("s3", endpoint_url=stack.s3_endpoint, region_name="us-east-1", **how).list_buckets()
