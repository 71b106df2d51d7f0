"""What starts says first which setting is refused, and knows when what runs is out of date."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from include.stack import airflow_history, airflow_program, services, staleness
from include.stack.layout import REPOSITORY, environment, load_or_create
from include.stack.services import Program


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


@pytest.mark.parametrize("module", ["include.docker.airflow_part", "include.docker.migrate"])
def test_a_part_of_airflow_does_not_start_with_a_setting_that_is_refused(module):
    variables = {**os.environ, "RETRAIN_MONITOR_SCHEDULE": "hourly", "PATH": "/nowhere"}
    command = [sys.executable, "-m", module, "scheduler"]
    done = subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = "refused: RETRAIN_MONITOR_SCHEDULE is 'hourly', but must be a cron expression such as */15 * * * *"
    assert done.stderr.splitlines()[-1] == said


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
            assert program.code and all((REPOSITORY / name).exists() for name in program.code)


@pytest.mark.parametrize(("migrated_by", "again"), [(None, True), ("3.0.0", True), ("", True), ("installed", False)])
def test_airflows_tables_are_brought_up_to_date_when_airflow_is_another_one(stack, monkeypatch, migrated_by, again):
    ran = []
    installed = services.version("apache-airflow")
    stamp = stack.folder("airflow") / "migrated"
    if migrated_by is not None:
        stamp.write_text(installed if migrated_by == "installed" else migrated_by)
    done = subprocess.CompletedProcess([], 0)
    monkeypatch.setattr(services.subprocess, "run", lambda command, **_: (ran.append(command[1:]), done)[1])
    services.airflow(stack, {}).prepare()
    assert ran == ([["db", "migrate"]] if again else [])
    assert stamp.read_text() == installed
