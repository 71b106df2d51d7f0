"""The stack's own promises: restarts, clean stop, ports, nothing lost between two starts."""

import base64
import configparser
import hashlib
import json
import shutil
import socket
import sys
from contextlib import closing
from pathlib import Path

import pika
import psutil
import psycopg2
import pytest
from click.testing import CliRunner
from supervisor.datatypes import byte_size

from include.demo import drill, faces
from include.stack import postgres, runner
from include.stack.__main__ import main as stack_commands
from include.stack.knowing import told_to_all
from include.stack.layout import environment, load, load_or_create, with_other_ports
from include.stack.services import Program, StackError
from include.stack.supervision import Supervision
from tests.waiting import until

pytestmark = pytest.mark.integration


def quiet(text):
    """Progress is of no interest here."""


@pytest.fixture
def root(tmp_path):
    yield tmp_path
    runner.clean(tmp_path)


def up(root, *names):
    return runner.up(root, quiet, names, preferred_ports=False)


def test_a_killed_program_is_started_again(root):
    stack = up(root, "s3")
    supervision = Supervision(stack)
    killed = supervision.kill("s3")
    until(lambda: supervision.state("s3") == "RUNNING" and not psutil.pid_exists(killed), "s3 to be back")
    up(root, "s3")


def test_no_log_grows_for_ever(root):
    """Of every program, and of who starts them: the supervisor's own reading of its file."""
    stack = up(root, "s3", "alertmanager")
    read = configparser.RawConfigParser()
    read.read(stack.root / "supervisord.conf")
    sections = [name for name in read.sections() if name == "supervisord" or name.startswith("program:")]
    assert len(sections) == 3
    for name in sections:
        log = "logfile" if name == "supervisord" else "stdout_logfile"
        assert 0 < byte_size(read[name][f"{log}_maxbytes"]) <= 20 * 1024**2
        assert 1 <= int(read[name][f"{log}_backups"]) <= 2


def test_down_leaves_no_process_and_clean_leaves_no_file(root):
    stack = up(root, "s3", "postgres")
    pids = [p.pid for p in Supervision(stack).processes()]
    assert len(pids) > 3
    runner.down(root)
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    runner.clean(root)
    assert list(root.iterdir()) == []


def test_a_second_start_finds_the_data_ports_and_secrets_of_the_first(root):
    first = up(root, "postgres")
    with_table = psycopg2.connect(first.dsn("mlops_owner", "mlops"))
    with with_table, with_table.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (id int)")
    with_table.close()
    runner.down(root)
    second = up(root, "postgres")
    assert (second.ports, second.secrets) == (first.ports, first.secrets)
    connection = psycopg2.connect(second.dsn("mlops", "mlops"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM kept")
        assert cursor.fetchone() == (0,)
    connection.close()


def test_a_program_that_runs_on_with_what_was_there_before_is_named(root, monkeypatch):
    up(root, "s3")
    said = []
    runner.up(root, said.append, ["s3"], preferred_ports=False)
    assert not [text for text in said if "make down" in text]
    monkeypatch.setattr(runner, "told_to_all", lambda stack: {**told_to_all(stack), "RETRAIN_EPOCHS": "7"})
    runner.up(root, said.append, ["s3"], preferred_ports=False)
    assert [text.split()[0] for text in said if "make down" in text] == ["s3"]


def test_tables_do_not_change_under_programs_that_write_to_them(root, monkeypatch):
    """An update with `make up` alone: what runs knows the tables of its start."""
    stack = up(root, "postgres")
    a_program_of_airflow_runs(stack)
    up(root, "postgres")
    a_release_with_a_new_table(root, monkeypatch)
    with pytest.raises(StackError, match="the tables change while airflow_scheduler run: `make down`, then `make up`"):
        up(root, "postgres")
    runner.down(root)
    up(root, "postgres")
    assert postgres.query(stack.dsn("mlops", "mlops"), "SELECT count(*) FROM of_the_new_release") == [(0,)]


def test_a_refused_update_of_a_release_with_one_role_for_everything_takes_no_right_away(root, monkeypatch):
    stack = up(root, "postgres")
    for name in ("helper", "mlops"):
        postgres.query(stack.dsn("postgres", name), f"REASSIGN OWNED BY {name}_owner TO {name}")
    a_program_of_airflow_runs(stack)
    a_release_with_a_new_table(root, monkeypatch)
    with pytest.raises(StackError, match="the tables change while airflow_scheduler run"):
        up(root, "postgres")
    those_who_work_with_tables_write(stack)
    runner.down(root)
    up(root, "postgres")
    those_who_work_with_tables_write(stack)
    assert postgres.query(stack.dsn("mlops", "mlops"), "SELECT count(*) FROM of_the_new_release") == [(0,)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        postgres.query(stack.dsn("mlops", "mlops"), "DROP TABLE of_the_new_release")


def those_who_work_with_tables_write(stack):
    for name, table in (("helper", "tasks"), ("mlops", "troubles")):
        postgres.query(stack.dsn(name, name), f"INSERT INTO {table} SELECT * FROM {table}")


def a_program_of_airflow_runs(stack):
    idle = Program("airflow_scheduler", (sys.executable, "-c", "import time; time.sleep(600)"), lambda: True)
    supervision = Supervision(stack)
    supervision.begin([postgres.postgres(stack).programs[0], idle])
    supervision.start(idle)


def a_release_with_a_new_table(root, monkeypatch):
    sql = Path(shutil.copytree(postgres.MIGRATIONS, root / "sql-of-the-new-release"))
    (sql / "mlops/9999.new.sql").write_text("CREATE TABLE of_the_new_release (id int)")
    monkeypatch.setattr(postgres, "MIGRATIONS", sql)


def test_a_setting_that_is_refused_is_one_sentence_before_anything_starts(root, monkeypatch):
    monkeypatch.setenv("RETRAIN_EPOCHS", "many")
    with pytest.raises(StackError, match="RETRAIN_EPOCHS is 'many', but must be a whole number from 1 to 1,000"):
        up(root, "postgres", "airflow")
    assert Supervision(load(root)).processes() == []


def test_a_port_that_another_program_took_is_another_one_and_the_secrets_stay(root):
    before = load_or_create(root, preferred=False)
    said = []
    with socket.socket() as other:
        other.bind(("127.0.0.1", before.port("s3")))
        other.listen()
        now = runner.up(root, said.append, ["s3"], preferred_ports=False)
    (told,) = [line for line in said if "another program's" in line]
    assert told == f"port {before.port('s3')} is another program's by now: s3 listens on {now.port('s3')}"
    assert now.secrets == before.secrets and load(root) == now
    assert {name for name in now.ports if now.port(name) != before.port(name)} == {"s3"}


def test_what_an_earlier_start_left_behind_is_not_taken_for_another_program(root):
    stack = up(root, "s3")
    supervisor, *_ = Supervision(stack).processes()
    supervisor.kill()
    supervisor.wait(60)
    with pytest.raises(StackError, match="an earlier start left programs behind: `make down` ends them"):
        up(root, "s3")
    runner.down(root)
    assert up(root, "s3") == stack


@pytest.mark.parametrize("lost", ["gone", "damaged"])
def test_a_stack_whose_secrets_are_lost_is_told_so_and_none_are_made_up(root, lost):
    stack = load_or_create(root, preferred=False)
    (stack.folder("postgres") / "data").mkdir()
    (stack.folder("postgres") / "data/PG_VERSION").write_text("15")
    path = root / "stack.json"
    path.unlink()
    if lost == "damaged":
        path.write_text('{"ports": {"s3"')
    with pytest.raises(
        StackError, match=f"stack.json is {lost}.*bring it back from your safe, or `make clean` deletes"
    ):
        up(root, "s3")
    assert [entry.name for entry in root.glob("stack.json*")] == ([] if lost == "gone" else ["stack.json"])
    runner.clean(root)
    assert list(root.iterdir()) == []


def test_secrets_are_generated_and_readable_by_their_owner_only(root):
    one, two = load_or_create(root / "one", preferred=False), load_or_create(root / "two", preferred=False)
    assert not set(one.secrets.values()) & set(two.secrets.values())
    # Copies of the databases and logs lie there, too.
    assert [path.stat().st_mode & 0o077 for path in (root / "one", root / "one" / "stack.json")] == [0, 0]
    assert load(root / "one") == one


def test_a_stack_of_an_earlier_version_keeps_the_key_of_its_stored_connections(root):
    stack = load_or_create(root, preferred=False)
    new = environment(stack)["AIRFLOW__CORE__FERNET_KEY"]
    path = root / "stack.json"
    kept = json.loads(path.read_text())
    earlier = {name: secret for name, secret in kept["secrets"].items() if name != "airflow_fernet"}
    path.write_text(json.dumps({**kept, "secrets": earlier}))
    key = base64.urlsafe_b64encode(hashlib.sha256(earlier["airflow_api"].encode()).digest()).decode()
    assert environment(load_or_create(root, preferred=False))["AIRFLOW__CORE__FERNET_KEY"] == key != new
    assert environment(load(root))["AIRFLOW__CORE__FERNET_KEY"] == key


ASKING = [
    *((stack_commands, [name]) for name in ("env", "reset")),
    (drill.main, []),
    (faces.main, []),
]


def test_a_stack_that_an_earlier_release_started_is_told_so_by_whoever_asks_it(root):
    """Whatever this release has more, the programs that run know nothing of it."""
    stack = load_or_create(root, preferred=False)
    a_program_of_airflow_runs(stack)
    path = root / "stack.json"
    kept = json.loads(path.read_text())
    for kind in ("ports", "secrets"):
        for lacking in kept[kind]:
            earlier = {name: one for name, one in kept[kind].items() if name != lacking}
            path.write_text(json.dumps({**kept, kind: earlier}))
            for command, words in ASKING:
                said = CliRunner().invoke(command, words, env={"STACK_DIR": str(root)})
                assert isinstance(said.exception, StackError), (lacking, said.output)
                assert str(said.exception) == "this stack is of an earlier version: `make down`, `make up`, then again"


# Two starts of RabbitMQ; that no name has a port in it is also in tests/unit/deployment/test_starting.py.
@pytest.mark.slow
def test_what_waits_in_the_broker_is_there_when_its_ports_are_other_programs(root):
    stack = up(root, "rabbitmq")
    with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("waiting", durable=True, arguments={"x-queue-type": "quorum"})
        channel.basic_publish("", "waiting", b"a dead letter")
    runner.down(root)
    moved = with_other_ports(load(root), ["rabbitmq", "rabbitmq_distribution", "epmd"])
    assert up(root, "rabbitmq").ports == moved.ports
    with closing(pika.BlockingConnection(pika.URLParameters(moved.amqp_url))) as connection:
        assert connection.channel().basic_get("waiting", auto_ack=True)[2] == b"a dead letter"


@pytest.mark.parametrize(("free", "told"), [(4.9e9, ["only 4.9 GB of disk are free at"]), (5e9, [])])
def test_a_disk_that_is_nearly_full_is_told_of_while_the_stack_runs_too(tmp_path, monkeypatch, free, told):
    class Disk:
        pass

    Disk.free = free
    monkeypatch.setattr("shutil.disk_usage", lambda path: Disk)
    assert [sentence.partition(f" {tmp_path}")[0] for sentence in runner.disk_faults(tmp_path)] == told


@pytest.mark.parametrize(
    ("lack", "sentence"),
    [
        ({"disk_usage": 1e9}, r"only 1\.0 GB of disk are free"),
        ({"virtual_memory": 2e9}, r"only 2\.0 GB of memory are available"),
    ],
)
def test_too_small_a_machine_is_one_sentence_before_anything_starts(root, monkeypatch, lack, sentence):
    class Machine:
        free, available = lack.get("disk_usage", 1e12), lack.get("virtual_memory", 1e12)

    monkeypatch.setattr("shutil.disk_usage", lambda path: Machine)
    monkeypatch.setattr("psutil.virtual_memory", lambda: Machine)
    with pytest.raises(StackError, match=sentence):
        runner.up(root, quiet, preferred_ports=False)
    assert Supervision(load(root)).processes() == []
