"""A test run that is killed takes its services with it, and nothing else."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from include.stack.layout import REPOSITORY, load
from include.stack.supervision import Supervision
from tests.waiting import until

pytestmark = pytest.mark.integration

_RUN = """
import time, pathlib

def test_waits_with_its_services_running(services):
    pathlib.Path({told!r}).write_text(str(services.stack.root))
    time.sleep(800)
"""


def alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def names(processes):
    """Of those that have not ended meanwhile."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found.add(process.name())
    return found


@pytest.fixture
def bystander():
    """Not of that run, and not to be touched."""
    process = subprocess.Popen(["sleep", "1200"])
    yield psutil.Process(process.pid)
    process.kill()
    process.wait()


def test_a_killed_run_leaves_no_process_behind_and_touches_no_other(tmp_path, bystander):
    told = tmp_path / "root"
    (tmp_path / "test_waits.py").write_text(_RUN.format(told=str(told)))
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-n1", "-p", "tests.conftest", f"--rootdir={REPOSITORY}", "-c"]
        + [str(REPOSITORY / "pyproject.toml"), f"--basetemp={tmp_path / 'temp'}", str(tmp_path / "test_waits.py")],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: told.exists() and told.read_text(), "the services of the run")
        stack = load(Path(told.read_text()))
        family = [*psutil.Process(run.pid).children(recursive=True), *Supervision(stack).processes()]
        assert {"supervisord", "postgres", "beam.smp", "rclone"} <= names(family)
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    until(lambda: not any(map(alive, family)), "everything of the killed run to end")
    assert alive(bystander)
