"""What starts says first which setting is refused, and knows when what runs is out of date."""

import json
import os
import re
import subprocess
import sys
from configparser import ConfigParser
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from io import StringIO

import psycopg2
import pytest
from click.testing import CliRunner
from rich.console import Console

from include.demo.doors import variables_of_access
from include.docker import migrate
from include.docker.demands import demand_start
from include.stack import __main__ as commands
from include.stack import (
    airflow_history,
    airflow_program,
    airflow_worker,
    mlflow_server,
    observing,
    own_tables,
    rotating,
    runner,
    services,
    staleness,
)
from include.stack.__main__ import main as stack_commands
from include.stack.executor import ExecutorRefused, choose
from include.stack.knowing import inherited, told, told_to_all
from include.stack.layout import (
    REPOSITORY,
    SECRETS,
    bin_folder,
    environment,
    keep,
    load,
    load_or_create,
    with_other_ports,
)
from include.stack.object_keys import SECRETS as KEYS
from include.stack.object_keys import key_of
from include.stack.registry_logins import REPLICA
from include.stack.runner import all_services
from include.stack.services import Program, StackError
from include.stack.supervision import Supervision
from pipeline.bootstrap import GiveUp

_CELERY = {"RETRAIN_EXECUTOR": "celery"}


@pytest.fixture
def stack(tmp_path):
    return load_or_create(tmp_path, preferred=False)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A folder `plugins` with a file, and a file `requirements.txt`."""
    monkeypatch.setattr(staleness, "REPOSITORY", tmp_path)
    (tmp_path / "plugins/inner").mkdir(parents=True)
    (tmp_path / "plugins/inner/one.py").write_text("x = 1\n")
    (tmp_path / "requirements.txt").write_text("airflow==1\n")
    return tmp_path


def started(**changes):
    fields = {"command": ("airflow", "scheduler"), "code": ("plugins", "requirements.txt"), **changes}
    return Program("scheduler", ready=lambda: True, **fields)


def test_a_shell_that_takes_the_stacks_variables_finds_its_python_and_its_airflow(stack, monkeypatch):
    monkeypatch.setenv("STACK_DIR", str(stack.root))
    variables = CliRunner().invoke(stack_commands, ["env"]).stdout
    words = f"{variables}\ncommand -v python; command -v airflow; echo $RETRAIN_MLFLOW_URL"
    shell = ["env", "-i", "PATH=/usr/bin:/bin", "sh", "-euc", words]
    found = subprocess.run(shell, capture_output=True, text=True, check=True).stdout.splitlines()
    where = bin_folder()
    assert found == [f"{where}/python", f"{where}/airflow", f"http://127.0.0.1:{stack.port('mlflow')}"]


@pytest.mark.parametrize("started", ["include.docker.airflow_part scheduler", "include.docker.migrate"])
def test_a_part_of_airflow_does_not_start_with_a_setting_that_is_refused(started):
    variables = {**os.environ, "RETRAIN_MONITOR_SCHEDULE": "hourly", "PATH": "/nowhere"}
    command = [sys.executable, "-m", *started.split()]
    done = subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = "refused: RETRAIN_MONITOR_SCHEDULE is 'hourly', but must be a cron expression such as */15 * * * *"
    assert done.stderr.splitlines()[-1] == said


@pytest.mark.parametrize("started", ["include.docker.airflow_part scheduler", "include.docker.migrate"])
def test_a_fernet_key_that_is_none_is_said_before_anything_starts(started):
    variables = {**os.environ, "AIRFLOW__CORE__FERNET_KEY": "short", "PATH": "/nowhere"}
    command = [sys.executable, "-m", *started.split()]
    done = subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("refused: AIRFLOW__CORE__FERNET_KEY is no Fernet key, which is 32 ")


@pytest.mark.parametrize(
    ("keys", "refused"),
    [
        (f"{'a-_9' * 10}aaa=", False),
        (f"{'a' * 43}=,{'b' * 43}=", False),
        ("", True),
        ("a" * 44, True),
        (f"{'a' * 43}=,old", True),
    ],
)
def test_every_fernet_key_of_several_has_to_be_one(monkeypatch, keys, refused):
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", keys)
    with pytest.raises(GiveUp) if refused else nullcontext():
        demand_start()


@pytest.fixture
def environment_of_its_own(tmp_path):
    """A `python` with this one's packages, where nothing is on PATH; `airflow` is not there yet."""
    (tmp_path / "python").symlink_to(sys.executable)
    variables = {**os.environ, "PATH": "/nowhere", "PYTHONPATH": os.pathsep.join(sys.path), "AIRFLOW_HOME": "/nowhere"}
    return tmp_path, {"cwd": REPOSITORY, "env": variables, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


BECOMING_AIRFLOW = [
    ("include.docker.airflow_part", ["scheduler"], ["scheduler"]),
    ("include.stack.airflow_history", ["--dry-run"], ["db", "clean", "--clean-before-timestamp"]),
]


@pytest.mark.parametrize(("module", "arguments", "words"), BECOMING_AIRFLOW)
def test_what_becomes_airflow_is_that_of_its_own_environment(environment_of_its_own, module, arguments, words):
    folder, how = environment_of_its_own
    (folder / "airflow").write_text('#!/bin/sh\necho "$$ $@"\n')
    (folder / "airflow").chmod(0o755)
    with subprocess.Popen([folder / "python", "-m", module, *arguments], text=True, **how) as part:
        said = part.communicate()[0].splitlines()[-1].split()
        assert said[: len(words) + 1] == [str(part.pid), *words]


@pytest.mark.parametrize(("module", "arguments", "_words"), BECOMING_AIRFLOW)
def test_an_environment_without_airflow_is_said_in_one_sentence(environment_of_its_own, module, arguments, _words):
    folder, how = environment_of_its_own
    done = subprocess.run([folder / "python", "-m", module, *arguments], text=True, check=False, **how)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"{folder}/airflow: No such file or directory; start this with")


@pytest.mark.parametrize(
    ("arguments", "days", "how"),
    [
        (["--days", "30", "--dry-run"], 30, ["--dry-run"]),
        ([], 90, ["--yes", "--skip-archive", "--error-on-cleanup-failure"]),
    ],
)
def test_what_airflow_keeps_of_old_runs_is_thrown_away_or_named(monkeypatch, tmp_path, arguments, days, how):
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path))
    became = []
    monkeypatch.setattr(airflow_program.os, "execv", lambda _program, words: became.extend(words))
    assert CliRunner().invoke(airflow_history.main, arguments).exit_code == 0
    assert became[:4] == ["airflow", "db", "clean", "--clean-before-timestamp"] and became[5:] == how
    age = datetime.now(UTC) - datetime.fromisoformat(became[4])
    assert timedelta(days=days) <= age < timedelta(days=days, minutes=5)


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ([], {"run-2/begin/1.log", "notes.txt"}),
        (["--dry-run"], {"run-1/begin/1.log", "run-2/begin/1.log", "notes.txt"}),
    ],
)
def test_files_of_logs_go_with_the_runs_that_wrote_them(monkeypatch, tmp_path, arguments, left):
    logs = tmp_path / "airflow/logs"
    for name, days in (("run-1/begin/1.log", 91), ("run-2/begin/1.log", 89), ("notes.txt", 400)):
        path = logs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("…")
        written = (datetime.now(UTC) - timedelta(days=days)).timestamp()
        os.utime(path, (written, written))
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.delenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", raising=False)
    monkeypatch.setattr(airflow_program.os, "execv", lambda *_: None)
    said = CliRunner().invoke(airflow_history.main, arguments).output
    assert said.startswith("1 files of logs in")
    assert {str(path.relative_to(logs)) for path in logs.rglob("*") if path.is_file()} == left
    assert (logs / "run-1").exists() is bool(arguments)


def test_runs_that_may_still_go_on_are_never_thrown_away(monkeypatch):
    monkeypatch.setenv("AIRFLOW_HISTORY_DAYS", "13")
    refused = CliRunner().invoke(airflow_history.main, [])
    assert refused.exit_code == 2 and "x>=14" in refused.output


@pytest.mark.parametrize("fails", [False, True])
def test_the_stack_throws_airflows_history_away_day_after_day_and_tries_again_what_failed(stack, tmp_path, fails):
    program = next(p for s in all_services(stack) for p in s.programs if p.name == "airflow_history")
    asked = tmp_path / "asked"
    for name in ("sleep", "python"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{asked}\n')
        (tmp_path / name).chmod(0o755)
    # It would go on for good: the third sleep, or throwing away, ends it.
    ends = "python" if fails else "sleep"
    with (tmp_path / ends).open("a") as file:
        file.write(f"[ $(grep -c {ends} {asked}) -lt {1 if fails else 3} ]\n")
    loop = program.command[-1].replace(str(bin_folder() / "python"), "python")
    shell = [*program.command[:-1], loop]
    assert loop != program.command[-1]
    subprocess.run(shell, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True)
    away = "python -m include.stack.airflow_history"
    day = ["sleep 3600", away, "sleep 82800"]
    assert asked.read_text().splitlines() == (day[:2] if fails else [*day, "sleep 3600"])
    assert program.environment.keys() == {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"}


def test_a_program_is_as_it_started_until_its_code_command_or_variables_change(stack, repository):
    variables = {"RETRAIN_EPOCHS": "50"}
    staleness.remember(stack, started(), variables)
    assert not staleness.is_stale(stack, started(), variables)
    assert staleness.is_stale(stack, started(), {"RETRAIN_EPOCHS": "7"})
    assert staleness.is_stale(stack, started(command=("airflow", "triggerer")), variables)
    assert staleness.is_stale(stack, started(environment={"MORE": "1"}), variables)
    (repository / "plugins/inner/one.py").write_text("x = 2\n")
    assert staleness.is_stale(stack, started(), variables)
    staleness.remember(stack, started(), variables)
    assert not staleness.is_stale(stack, started(), variables)


def test_a_program_that_an_earlier_release_started_is_not_as_it_would_start_now(stack, repository):
    assert staleness.is_stale(stack, started(), {})


def test_the_code_that_a_program_is_said_to_read_is_there(stack):
    for service in (services.airflow(stack, environment(stack)), services.faceserve(stack), services.helper(stack)):
        for program in service.programs:
            # A shell that begins the rest anew every day.
            assert bool(program.code) is (program.name != "airflow_history")
            assert all((REPOSITORY / name).exists() for name in program.code)


@pytest.mark.parametrize(("migrated_by", "again"), [(None, True), ("3.0.0", True), ("", True), ("installed", False)])
@pytest.mark.parametrize("name", ["airflow", "mlflow"])
def test_tables_of_airflow_and_mlflow_are_brought_up_to_date_when_those_are_others(
    stack, monkeypatch, migrated_by, again, name
):
    ran, package = [], {"airflow": "apache-airflow"}.get(name, name)
    stamp = stack.folder(name) / "migrated"
    if migrated_by is not None:
        stamp.write_text(version(package) if migrated_by == "installed" else migrated_by)
    done = subprocess.CompletedProcess([], 0, "")
    monkeypatch.setattr(own_tables.subprocess, "run", lambda command, **_: (ran.append(command[1:3]), done)[1])
    {"airflow": services.airflow(stack, {}), "mlflow": services.mlflow(stack)}[name].prepare()
    assert ran == ([["db", {"airflow": "migrate", "mlflow": "upgrade"}[name]]] if again else [])
    assert stamp.read_text() == version(package)


@pytest.mark.parametrize("where", ["local", "containers"])
def test_logins_that_people_added_outlive_a_start_and_the_passwords_of_ours_are_the_stacks(stack, monkeypatch, where):
    monkeypatch.setattr(own_tables.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, ""))
    passwords = stack.folder("airflow") / "passwords.json"
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(passwords))
    ours = {"admin": stack.secrets["airflow_admin"], "exporter": stack.secrets["airflow_exporter"]}
    for login, password in ours.items():
        monkeypatch.setenv(f"AIRFLOW_{login.upper()}_PASSWORD", password)
    start = {"local": services.airflow(stack, {}).prepare, "containers": migrate.logins}[where]
    start()
    assert json.loads(passwords.read_text()) == ours
    passwords.write_text(json.dumps({"admin": "old", "kim": "of-kim"}))
    start()
    assert json.loads(passwords.read_text()) == {**ours, "kim": "of-kim"}
    assert passwords.stat().st_mode & 0o077 == 0


def test_who_may_enter_airflow_is_what_people_say(stack, monkeypatch):
    users = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"
    assert environment(stack)[users] == "admin:admin,exporter:viewer"
    monkeypatch.setenv("AIRFLOW_USERS", "admin:admin,kim:user")
    assert environment(stack)[users] == "admin:admin,kim:user,exporter:viewer"


def test_how_long_airflow_keeps_its_runs_whoever_watches_knows(stack, monkeypatch):
    told = "RETRAIN_EXPORTER_HISTORY_DAYS"
    assert told not in observing.exporter(stack).programs[0].environment
    monkeypatch.setenv("AIRFLOW_HISTORY_DAYS", "30")
    assert observing.exporter(stack).programs[0].environment[told] == "30"


def test_no_secret_of_the_stack_is_a_word_of_a_command_which_everybody_on_the_machine_sees(stack, monkeypatch):
    commands = [program.command for service in all_services(stack) for program in service.programs]
    done = subprocess.CompletedProcess([], 0, "")
    monkeypatch.setattr(own_tables.subprocess, "run", lambda command, **_: (commands.append(command), done)[1])
    services.mlflow(stack).prepare()
    services.airflow(stack, environment(stack)).prepare()
    words = " ".join(word for command in commands for word in command)
    assert "mlflow@127.0.0.1" in words
    assert [name for name, secret in stack.secrets.items() if secret in words] == []


@pytest.mark.parametrize("terminal", [True, False])
def test_logins_are_shown_on_a_terminal_and_nowhere_that_others_may_read(stack, monkeypatch, terminal):
    screen = Console(file=StringIO(), force_terminal=terminal)
    monkeypatch.setattr(commands, "console", screen)
    commands.show_addresses(stack)
    shown = {name for name, secret in stack.secrets.items() if secret in screen.file.getvalue()}
    assert shown == ({"airflow_admin", "mlflow_admin"} if terminal else set())


def test_mlflow_does_not_start_without_a_password_for_everybody(stack):
    program = services.mlflow(stack).programs[0]
    variables = {**os.environ, **program.environment, "MLFLOW_REPLICA_PASSWORD": " "}
    done = subprocess.run(program.command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)
    said = "refused: MLFLOW_REPLICA_PASSWORD must be set: MLflow lets nobody in without a password"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, said)


@pytest.mark.parametrize(
    ("dsn", "kept"),
    [
        ("postgresql://mlflow:s3cret@db:5432/mlflow", "postgresql://mlflow@db:5432/mlflow"),
        (
            "postgresql://mlflow:s%2Fcret@db/mlflow?options=-csearch_path%3Dx",
            "postgresql://mlflow@db/mlflow?options=-csearch_path%3Dx",
        ),
    ],
)
def test_the_file_that_mlflow_reads_who_may_what_from_holds_no_secret(tmp_path, dsn, kept):
    variables = mlflow_server.configure(tmp_path / "logins.ini", dsn)
    read = ConfigParser()
    read.read(variables["MLFLOW_AUTH_CONFIG_PATH"])
    assert read["mlflow"]["database_uri"] == kept and variables["PGPASSWORD"] in {"s3cret", "s/cret"}
    assert read["mlflow"]["authorization_function"] == "include.stack.registry_logins:authorize"
    assert "cret" not in (tmp_path / "logins.ini").read_text()


@pytest.mark.parametrize(
    ("variable", "known"), [("old", {"old"}), ("old new", {"old", "new"}), ("", set()), ("  ", set())]
)
def test_a_login_of_mlflow_has_the_password_of_its_variable_or_two_while_it_changes(monkeypatch, variable, known):
    monkeypatch.setenv(REPLICA.variable, variable)
    tried = ("old", "new", "", " ", "old new", "ol", "한")
    assert {one for one in tried if REPLICA.is_known_by(one)} == known


def test_another_fernet_key_encrypts_anew_once_and_the_old_one_goes_on_decrypting(stack, monkeypatch):
    done, asked, key = subprocess.CompletedProcess([], 0, ""), [], "AIRFLOW__CORE__FERNET_KEY"
    monkeypatch.setattr(
        own_tables.subprocess, "run", lambda command, env, **_: (asked.append((command[1], env.get(key))), done)[1]
    )
    old = environment(stack)[key]
    rotating.rotate(stack, "airflow_fernet")
    both = load(stack.root)
    new, _, second = environment(both)[key].partition(",")
    assert second == old != new
    services.airflow(both, environment(both)).prepare()
    assert asked[-1] == ("rotate-fernet-key", f"{new},{old}")
    after = load(stack.root)
    # What the programs started with: none of them is out of date at the next `up`.
    assert environment(after) == environment(both)
    services.airflow(after, environment(after)).prepare()
    assert [command for command, _ in asked].count("rotate-fernet-key") == 1
    rotating.rotate(after, "airflow_fernet")
    last = load(stack.root)
    services.airflow(last, environment(last)).prepare()
    assert [command for command, _ in asked].count("rotate-fernet-key") == 2
    assert asked[-1][1].split(",")[1:] == [new, old]


def test_an_encryption_that_broke_off_is_begun_again_with_every_key_there_was(stack, monkeypatch):
    failed, key = subprocess.CompletedProcess([], 1, "no database\n"), "AIRFLOW__CORE__FERNET_KEY"
    old = environment(stack)[key]
    rotating.rotate(stack, "airflow_fernet")
    (stack.folder("airflow") / "migrated").write_text(version("apache-airflow"))
    monkeypatch.setattr(own_tables.subprocess, "run", lambda *_, **__: failed)
    both = load(stack.root)
    with pytest.raises(StackError, match="no database"):
        services.airflow(both, environment(both)).prepare()
    rotating.rotate(both, "airflow_fernet")
    assert environment(load(stack.root))[key].split(",")[1:] == environment(both)[key].split(",")
    assert environment(both)[key].endswith(old)


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_becomes_another_one_and_no_other_does_and_nobody_else_reads_the_file(stack, name):
    said = CliRunner().invoke(commands.main, ["rotate", name], env={"STACK_DIR": str(stack.root)})
    after = load(stack.root)
    assert said.exit_code == 0, said.output
    assert {one for one in SECRETS if after.secrets[one] != stack.secrets[one]} == {name}
    assert after.secrets[name] not in said.output and (stack.root / "stack.json").stat().st_mode & 0o077 == 0


def test_a_key_of_s3_is_known_to_its_component_and_to_the_server_alone(stack):
    own = {"faceserve_1": "faceserve", "faceserve_2": "faceserve", "log_receiver": "log-receiver"}
    own |= {"helper": "helper", "mlflow": "mlflow", **dict.fromkeys(PARTS_OF_AIRFLOW, "retraining")}
    given = variables_of_programs(stack)
    known = known_secrets(stack, given)
    assert known.pop("s3") == set(KEYS.values())
    assert {n: found & set(KEYS.values()) for n, found in known.items()} == {
        name: {KEYS[own[name]]} if name in own else set() for name in known
    }
    assert all(given[name]["AWS_ACCESS_KEY_ID"] == component for name, component in own.items())


PARTS_OF_AIRFLOW = ("airflow_api", "airflow_scheduler", "airflow_dag_processor", "airflow_triggerer")


def variables_of_programs(stack):
    return {p.name: {**inherited(stack), **p.environment} for s in all_services(stack) for p in s.programs}


def known_secrets(stack, given):
    return {
        name: {secret for secret, value in stack.secrets.items() if value in " ".join(values.values())}
        for name, values in given.items()
    }


def test_a_program_of_the_stack_knows_its_own_secrets_and_of_the_others_none(stack, monkeypatch):
    """Also where the shell that starts it took the stack's variables."""
    for name, value in environment(stack).items():
        monkeypatch.setenv(name, value)
    known = known_secrets(stack, variables_of_programs(stack))
    of_airflow = {"airflow", "airflow_api", "airflow_jwt"}
    pipeline = {
        "mlops",
        "mlops_viewer",
        "mlops_reader",
        "backup",
        "rabbitmq_pipeline",
        "s3",
        "mlflow_pipeline",
        "faceserve",
    }
    assert {name: found for name, found in known.items() if found} == {
        "s3": set(KEYS.values()),
        "mlflow": {"mlflow", "mlflow_admin", "mlflow_pipeline", "mlflow_replica", "s3_mlflow"},
        "log_receiver": {"backup", "log_receiver", "s3_log_receiver"},
        "helper": {"helper", "rabbitmq_helper", "s3_helper"},
        # Tokens are in files, which may change while they run.
        **dict.fromkeys(("faceserve_1", "faceserve_2"), {"mlflow_replica", "s3_faceserve"}),
        **dict.fromkeys(PARTS_OF_AIRFLOW, pipeline | of_airflow),
        "airflow_history": {"airflow"},
        "exporter": {"mlops_viewer", "rabbitmq_watcher", "airflow_exporter"},
    }


def test_what_no_secret_is_in_every_program_is_told(stack):
    secret = {name for name, value in environment(stack).items() if value not in told_to_all(stack).values()}
    assert "AIRFLOW__CORE__FERNET_KEY" in secret and "RETRAIN_MLFLOW_URL" not in secret
    told_to_airflow = {**told_to_all(stack), **told(stack, "AIRFLOW__", "RETRAIN_", "MLFLOW_", "AWS_")}
    others = ("FACESERVE_", "HELPER_", "ACCESS_")
    everything = {name: value for name, value in environment(stack).items() if not name.startswith(others)}
    assert everything.items() <= told_to_airflow.items()


def test_who_enrols_people_changes_no_model(stack):
    services.faceserve(stack).prepare()
    opens = {calls: (stack.root / "tokens" / calls).read_text().split() for calls in ("lifecycle", "enrolment")}
    given = environment(stack)
    assert opens == {
        "lifecycle": [given["RETRAIN_FACESERVE_TOKEN"]],
        "enrolment": [given["ACCESS_FACESERVE_ENROLMENT_TOKEN"]],
    }
    assert opens["lifecycle"] != opens["enrolment"]
    files = {calls: given[f"FACESERVE_{calls}_TOKEN_FILE".upper()] for calls in opens}
    assert files == {calls: str(stack.root / "tokens" / calls) for calls in opens}
    assert all((stack.root / "tokens" / calls).stat().st_mode & 0o077 == 0 for calls in opens)


@pytest.mark.parametrize("component", KEYS)
def test_a_shell_has_the_key_of_s3_of_whom_it_names(stack, component):
    where = {"STACK_DIR": str(stack.root)}
    variables = CliRunner().invoke(stack_commands, ["env", "--component", component], env=where)
    given = {one for one, secret in KEYS.items() if stack.secrets[secret] in variables.stdout}
    assert given == {component} and f"export AWS_ACCESS_KEY_ID={component}\n" in variables.stdout


def test_the_access_service_of_the_demo_has_the_key_of_s3_of_its_own(stack):
    own = variables_of_access(stack)
    assert key_of("access", stack.secrets).items() <= own.items()
    assert known_secrets(stack, {"access": own})["access"] == {
        "access",
        "rabbitmq_access",
        "s3_access",
        "faceserve_enrolment",
    }


def test_what_lies_in_the_stacks_folders_is_found_again_when_every_port_is_another(stack):
    """Only addresses change: a name with a port in it would be another place, and what was there would be lost."""
    moved = replace(stack, ports={name: 40_000 + number for number, name in enumerate(stack.ports)})
    assert without_addresses(stack) == without_addresses(moved)


def without_addresses(stack):
    """Words and variables of every program; what is an address or nothing but a port is left out."""
    port = rf"(?:{'|'.join(map(str, stack.ports.values()))})"
    return {
        program.name: [
            re.sub(rf"^{port}$|(?<=127\.0\.0\.1:){port}\b|(?<=^port=){port}$", "", word)
            for word in (*program.command, *environment(stack).values(), *program.environment.values())
        ]
        for service in all_services(stack)
        for program in service.programs
    }


def test_a_broker_of_a_release_with_its_port_in_its_name_is_called_as_it_was_last(stack):
    def name(of):
        server = next(p for s in all_services(of) for p in s.programs if p.name == "rabbitmq")
        return server.environment["RABBITMQ_NODENAME"]

    data = stack.folder("rabbitmq") / "data"
    for number, port in enumerate((26672, 20001)):
        for suffix in ("", "-plugins-expand"):
            folder = data / f"retraining-{port}@localhost{suffix}"
            folder.mkdir(parents=True)
            os.utime(folder, (number, number))
        (data / f"retraining-{port}@localhost.pid").touch()
    assert name(stack) == name(with_other_ports(stack, ["rabbitmq"])) == "retraining-20001@localhost"


def test_s3_lets_nobody_in_because_a_key_is_missing(stack):
    server = next(p for s in all_services(stack) for p in s.programs if p.name == "s3")
    variables = {**os.environ, **server.environment, "S3_HELPER_SECRET_KEY": ""}
    done = subprocess.run(server.command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("refused: S3_HELPER_SECRET_KEY must be set")


def test_tables_that_cannot_be_brought_up_to_date_are_one_sentence(stack, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "Traceback\n  line\nValueError: no such revision\n")
    monkeypatch.setattr(own_tables.subprocess, "run", lambda command, **_: failed)
    with pytest.raises(
        StackError, match=r"^db upgrade of .*mlflow failed: …Traceback line ValueError: no such revision$"
    ):
        services.mlflow(stack).prepare()
    assert not (stack.folder("mlflow") / "migrated").exists()


def test_a_number_of_workers_that_cannot_be_is_refused_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setenv("RETRAIN_EXECUTOR", "celery")
    for wrong in ("0", "two", "1e3", "-1", "65", ""):
        monkeypatch.setenv("STACK_WORKERS", wrong)
        with pytest.raises(StackError, match="STACK_WORKERS is '.*': a whole number from 1 to 64 is needed"):
            runner.up(tmp_path / "stack", print)
    assert not (tmp_path / "stack").exists()


def test_where_tasks_run_is_kept_until_somebody_says_otherwise():
    said = {"RETRAIN_EXECUTOR": "celery", "STACK_WORKERS": "3", "ANOTHER": "variable"}
    kept = choose({}, said)
    assert kept == {"RETRAIN_EXECUTOR": "celery", "STACK_WORKERS": "3"} == choose(kept, {})
    assert choose(kept, {"STACK_WORKERS": "4"}) == {**kept, "STACK_WORKERS": "4"}
    assert choose(kept, {"RETRAIN_EXECUTOR": "local"}) == {}
    with pytest.raises(ExecutorRefused, match="RETRAIN_EXECUTOR is 'Celery': one of local, celery is needed"):
        choose(kept, {"RETRAIN_EXECUTOR": "Celery"})


def test_a_shell_without_the_choice_and_one_with_another_see_the_stack_as_it_was_started(stack, monkeypatch):
    """`rotate` starts the scheduler again: with the broker's address, which it had before."""
    for names, elsewhere in ((_CELERY, "local"), ({}, "celery")):
        known = keep(replace(stack, choice=names))
        monkeypatch.delenv("RETRAIN_EXECUTOR", raising=False)
        said = [(p.name, p.environment) for s in all_services(known) for p in s.programs]
        monkeypatch.setenv("RETRAIN_EXECUTOR", elsewhere)
        again = load(stack.root)
        assert [(p.name, p.environment) for s in all_services(again) for p in s.programs] == said
        assert inherited(again).get("RETRAIN_EXECUTOR") == names.get("RETRAIN_EXECUTOR")
        scheduler = dict(said)["airflow_scheduler"]
        assert ("AIRFLOW__CELERY__BROKER_URL" in scheduler) is bool(names)


def test_a_shell_of_the_stack_finds_what_workers_told_of_tasks(stack, monkeypatch):
    """So that Airflow's history of it is thrown away, too."""
    monkeypatch.delenv("AIRFLOW__CELERY__RESULT_BACKEND", raising=False)
    monkeypatch.setenv("STACK_DIR", str(stack.root))
    dsns = []

    def away(dsn):
        dsns.append(dsn)
        raise psycopg2.OperationalError("no such database")

    monkeypatch.setattr(airflow_history.psycopg2, "connect", away)
    airflow_history._forget_what_workers_told(datetime.now(UTC))
    assert dsns == []
    keep(replace(stack, choice=_CELERY))
    airflow_history._forget_what_workers_told(datetime.now(UTC))
    assert dsns == [stack.dsn("celery", "celery")]


def test_where_tasks_run_does_not_change_under_a_running_stack(stack, monkeypatch):
    monkeypatch.setattr(Supervision, "running", lambda _: True)
    monkeypatch.setenv("RETRAIN_EXECUTOR", "celery")
    with pytest.raises(StackError, match="where its tasks run changes with its start: `make down`"):
        runner.up(stack.root, print)
    assert load(stack.root).choice == {}


def test_a_stack_of_an_earlier_build_is_not_half_rotated(stack):
    earlier = replace(stack, secrets={k: v for k, v in stack.secrets.items() if k != "faceserve_enrolment"})
    with pytest.raises(StackError, match="of an earlier version"):
        rotating.rotate(earlier, "faceserve_enrolment")
    assert not (stack.root / "tokens").exists()


def test_workers_are_started_where_they_are_wanted_and_each_keeps_its_files_to_itself(stack):
    assert not any(p.name.startswith("airflow_worker") for s in all_services(stack) for p in s.programs)
    stack = replace(stack, choice={**_CELERY, "STACK_WORKERS": "3"})
    (workers,) = (service for service in all_services(stack) if service.name == "workers")
    assert [p.name for p in workers.programs] == ["airflow_worker_quick", *(f"airflow_worker_{n}" for n in (1, 2, 3))]
    assert len({p.environment["AIRFLOW_HOME"] for p in workers.programs}) == 4
    assert environment(stack)["RETRAIN_SLICES_AT_ONCE"] == "3"


def test_a_worker_has_neither_the_key_of_airflows_database_nor_the_one_that_signs_for_airflow(stack):
    stack = replace(stack, choice=_CELERY)
    opened = [stack.secrets[name] for name in ("airflow", "airflow_jwt", "backup", "rabbitmq_airflow")]
    opened.append(environment(stack)["AIRFLOW__CORE__FERNET_KEY"])
    (workers,) = (service for service in all_services(stack) if service.name == "workers")
    for program in workers.programs:
        known = {**told_to_all(stack), **program.environment}.values()
        assert not any(secret in value for secret in opened for value in known)
        assert any(stack.secrets["rabbitmq_worker"] in value for value in known)


def test_a_worker_drops_what_it_must_not_know_also_where_somebody_told_it():
    variables = dict.fromkeys((*airflow_worker.NOT_FOR_WORKERS, "RETRAIN_MLOPS_DSN"), "a secret")
    airflow_worker.without_what_no_worker_needs(variables)
    assert variables == {"RETRAIN_MLOPS_DSN": "a secret"}


def test_a_worker_where_nobody_sends_tasks_says_so():
    done = subprocess.run(
        [sys.executable, "-m", "include.stack.airflow_worker", "default", "1"],
        env={k: v for k, v in os.environ.items() if k != "RETRAIN_EXECUTOR"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and done.stderr.startswith("refused: nobody sends tasks to workers")
