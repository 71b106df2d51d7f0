"""What a process is to blame for: computing, and waiting for anything but the processor."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

from faceserve.machine.processor import Spent

# Each says when it has begun: what a busy machine takes to start it is not what it is asked about.
BEGUN = "print(flush=True)"
SPIN = f"{BEGUN}\nwhile True: pass"
LEAST = f"import os\n{BEGUN}\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"
SLEEP = f"import threading\n{BEGUN}\nthreading.Event().wait()"
SECONDS = 1.5


@contextmanager
def process(script, core=None):
    running = subprocess.Popen([sys.executable, "-S", "-c", script], stdout=subprocess.PIPE)
    try:
        if core is not None:
            os.sched_setaffinity(running.pid, {core})
        assert running.stdout.readline()
        yield running.pid
    finally:
        running.kill()
        running.communicate()


def spent(pid):
    watched, began = Spent(pid), time.monotonic()
    watched.look()
    while time.monotonic() - began < SECONDS:
        time.sleep(0.1)
        watched.look()
    return watched.seconds / (time.monotonic() - began)


def test_one_that_only_waits_is_to_blame_for_all_of_the_time():
    with process(SLEEP) as pid:
        assert spent(pid) > 0.6


def test_one_that_wants_the_processor_and_does_not_get_it_is_to_blame_for_little():
    core = min(os.sched_getaffinity(0))
    with process(SPIN, core), process(LEAST, core) as starved:
        assert spent(starved) < 0.5


def test_one_that_has_ended_is_asked_for_in_vain_and_nothing_happens():
    with process(SPIN) as pid:
        pass
    assert Spent(pid).look() < SECONDS
