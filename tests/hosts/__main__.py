"""`python -m tests.hosts`: workers as separate hosts, as figures (`include/studies/workers.md` says what they mean).

A stack of its own whose workers are hosts: each has a network, folders and a name of its own, and shares the services
alone. Slices of photos spread over 1, 2 and 4 of them; one is killed in the middle and another comes; what each said is
read as the page of Airflow reads it; and how long the look waits is told. Root is needed.
"""

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from include.contract.work_queues import CPU_HEAVY, DEFAULT, GPU
from include.demo import seeding
from include.demo.photos import base_specs
from include.stack.airflow_api import AirflowApi, airflow_of
from include.stack.layout import Stack, environment, load
from include.stack.postgres import query
from include.stack.supervision import Supervision
from tests.hosts.host import Host, await_ready
from tests.services import running
from tests.waiting import until

RETRAINING, SLICE = "laundry_model_retraining", "augment_slice"
_OTHERS = ("face_model_retraining", "task_confirmed_intake")
_PHOTOS, _PATIENCE_SECONDS = 400, 1800
_LARGE = f"{GPU},{CPU_HEAVY}"


@dataclass(frozen=True)
class Done:
    """A slice: on which host its last try was, which try that was, and when it ran."""

    index: int
    host: str
    tries: int
    started: datetime
    ended: datetime


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--stack", "root", type=click.Path(path_type=Path), help="One that is up already, with workers.")
@click.option(
    "--hosts", default="1,2,4", show_default=True, help="How many, round by round; empty for the accident alone."
)
@click.option("--photos-per-slice", default=20, show_default=True)
def main(root: Path | None, hosts: str, photos_per_slice: int) -> None:
    """Print a line for each round, and what became of the hosts that were killed or came late."""
    if os.geteuid() != 0:
        sys.exit("root is needed: namespaces of network and mounts are made")
    wanted = {"RETRAIN_EXECUTOR": "celery", "STACK_WORKERS": "1", "RETRAIN_SLICES_AT_ONCE": "16"}
    os.environ |= {**wanted, "RETRAIN_PHOTOS_PER_SLICE": str(photos_per_slice)}
    with _stack(root) as stack, _Play(stack) as play:
        for count in map(int, filter(None, hosts.split(","))):
            play.round(count)
        play.accident()


@contextmanager
def _stack(root: Path | None) -> Iterator[Stack]:
    if root:
        stack = load(root)
        assert stack is not None
        yield stack
        return
    with tempfile.TemporaryDirectory(prefix="hosts-") as folder, running(Path(folder), ()) as services:
        yield services.stack


class _Play:
    """Its own workers are told to go: only hosts take tasks."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._airflow = stack, airflow_of(stack)
        self._hosts: dict[str, Host] = {}

    def __enter__(self) -> "_Play":
        os.environ |= environment(self._stack)
        supervision = Supervision(self._stack)
        for program in supervision.states():
            if program["name"].startswith("airflow_worker_"):
                supervision.stop(program["name"])
        for dag in (RETRAINING, *_OTHERS):
            until(lambda dag=dag: self._airflow.knows(dag), f"Airflow to know {dag}", _PATIENCE_SECONDS)  # type: ignore[misc]
            self._airflow.pause(dag)
            self._airflow.fail_open_runs(dag)
        if not query(self._stack.dsn("helper", "helper"), "SELECT 1 FROM tasks LIMIT 1"):
            self._seed()
        self._begin("quick", DEFAULT)
        self._airflow.unpause(RETRAINING)
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._hosts):
            self._kill(name)

    def round(self, count: int) -> None:
        """One retraining, until its slices are done, on `count` hosts."""
        self._at_least(count)
        (load_before, *_), run = os.getloadavg(), self._sliced(f"round-{count}-{time.time_ns()}")
        done = self._done(run)
        self._tell(f"{count} hosts", run, done, load_before)
        self._end()

    def accident(self) -> None:
        """A host dies with a slice in its hands, another comes: nothing is lost, and the new one takes part."""
        self._at_least(2)
        run = f"accident-{time.time_ns()}"
        self._airflow.trigger(RETRAINING, run, {"force": True, "reason": "hosts"})
        until(lambda: self._busy(run) != "", "a slice to run", _PATIENCE_SECONDS)
        victim = self._busy(run)
        self._kill(victim)
        late = f"late-{len(self._hosts)}"
        self._begin(late, _LARGE)
        done = self._done(run)
        self._tell(f"{victim} killed, {late} came", run, done, os.getloadavg()[0])
        moved = [one.index for one in done if one.tries > 1]
        click.echo(f"slices tried again: {moved}; by {late}: {sum(one.host == late for one in done)}")
        assert all(one.host != victim or one.tries == 1 for one in done)
        self._end()

    def _at_least(self, count: int) -> None:
        while len(self._large()) < count:
            self._begin(f"host-{len(self._hosts)}", _LARGE)

    def _seed(self) -> None:
        base = base_specs(_PHOTOS, 7)
        seeding.upload(base, "BASE", endpoint=self._stack.s3_endpoint, on_done=lambda: None)
        seeding.archive(seeding.garments(base, "BASE"), helper_dsn=self._stack.dsn("helper", "helper"))

    def _begin(self, name: str, queues: str) -> None:
        begun = time.monotonic()
        self._hosts[name] = Host(self._stack, name, queues)
        await_ready([self._hosts[name]])
        click.echo(f"{name} takes {queues} ({time.monotonic() - begun:.0f} s)")

    def _kill(self, name: str) -> None:
        self._hosts.pop(name).kill()

    def _large(self) -> list[str]:
        return [name for name in self._hosts if name != "quick"]

    def _sliced(self, run: str) -> str:
        self._airflow.trigger(RETRAINING, run, {"force": True, "reason": "hosts"})
        return run

    def _busy(self, run: str) -> str:
        rows = self._query(
            "SELECT hostname FROM task_instance WHERE run_id = %s AND task_id = %s AND state = 'running'", run, SLICE
        )
        return next((host for (host,) in rows if host in self._hosts), "")

    def _done(self, run: str) -> list[Done]:
        def ended() -> bool:
            states = Counter(
                t.state for t in self._airflow.tasks(RETRAINING, run) if t.task_id == SLICE and t.map_index >= 0
            )
            assert not {"failed", "upstream_failed"} & set(states), states
            return bool(states) and set(states) == {"success"}

        until(ended, f"the slices of {run}", _PATIENCE_SECONDS)
        rows = self._query(
            "SELECT map_index, hostname, try_number, start_date, end_date FROM task_instance"
            " WHERE run_id = %s AND task_id = %s ORDER BY map_index",
            run,
            SLICE,
        )
        return [Done(*row) for row in rows]

    def _tell(self, what: str, run: str, done: list[Done], load_before: float) -> None:
        begun, ended = min(one.started for one in done), max(one.ended for one in done)
        each = Counter(one.host for one in done)
        work = sum((one.ended - one.started).total_seconds() for one in done)
        # A worker brings it to S3 after it has said that the task is done.
        said = _said(self._airflow, run, done)
        until(said, f"what was said of {run} to be on Airflow's page", _PATIENCE_SECONDS)
        click.echo(
            f"{what}: {len(done)} slices in {(ended - begun).total_seconds():.0f} s, {work:.0f} s of tasks; by host"
            f" {dict(each)}; load {load_before:.0f}; all logs read;"
            f" looks for a rollback began after at most {self._waited(begun, ended):.1f} s in the queue"
        )

    def _waited(self, begun: datetime, ended: datetime) -> float:
        """Seconds that the monitor's look, beside the scheduler, waited from its queue to its start meanwhile."""
        rows = self._query(
            "SELECT max(EXTRACT(epoch FROM start_date - queued_dttm)) FROM task_instance"
            " WHERE pool = 'emergency' AND state = 'success' AND queued_dttm BETWEEN %s AND %s",
            begun,
            ended,
        )
        return float(rows[0][0] or 0)

    def _end(self) -> None:
        self._airflow.fail_open_runs(RETRAINING)

    def _query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return query(self._stack.dsn("airflow", "airflow"), sql, values)


def _said(airflow: AirflowApi, run: str, done: list[Done]) -> Callable[[], bool]:
    """Whether Airflow's page shows what was said of every slice: from S3, for the hosts cannot be asked."""

    def found() -> bool:
        return all("s3://" in airflow.log(RETRAINING, run, SLICE, one.index, one.tries) for one in done)

    return found


if __name__ == "__main__":
    main()
