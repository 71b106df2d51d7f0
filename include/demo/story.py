"""The loop, told in order: first model, corrections, retraining, hot swap, rollback and forward again."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import psycopg2
from rich.console import Console
from rich.progress import Progress

from include.demo import seeding
from include.demo.airflow_api import AirflowApi, TaskTime
from include.demo.branch_managers import GARBAGE, Confirmed, Mischief, confirm_all
from include.demo.event_log import EventLog
from include.demo.photos import base_specs, live_specs
from include.demo.report import Report
from include.demo.traffic import Answer, Traffic, p99_ms, versions

INTAKE, RETRAINING, ROLLBACK = "task_confirmed_intake", "laundry_model_retraining", "model_rollback"
_DUPLICATES, _REDELIVERIES = 7, 5
_STEADY_SECONDS = 10.0
_STAGES = ("collect", "validate", "augment", "train", "verify", "register", "hot_swap")


@dataclass(frozen=True)
class Scenery:
    """Where things are, and how large the demo is; `environment` holds the variables of every program."""

    root: Path
    environment: Mapping[str, str]
    airflow_url: str
    airflow_user: str
    airflow_password: str
    helper_url: str
    helper_owner_dsn: str
    amqp_url: str
    s3_endpoint: str
    replicas: tuple[str, ...]
    base_photos: int = 400
    live_photos: int = 1100
    seed: int = 1


class Story:
    """One telling; every act prints what it does and records what it measured."""

    def __init__(self, scenery: Scenery, console: Console) -> None:
        self._s = scenery
        self._console = console
        self._progress = console.is_terminal
        self._started = time.monotonic()
        self.report = Report()
        self._airflow = AirflowApi(scenery.airflow_url, scenery.airflow_user, scenery.airflow_password)
        self._events = EventLog(scenery.amqp_url)
        self._traffic: Traffic | None = None

    def tell(self) -> Report:
        self._events.start()
        try:
            live = self._first_model()
            confirmed = self._corrections(live)
            self._retraining(confirmed)
            self._rollback()
        finally:
            if self._traffic:
                self._traffic.stop()
            self._events.stop()
        self._requests()
        self.report.record(total_seconds=round(time.monotonic() - self._started, 1))
        self.report.judge()
        return self.report

    # Acts

    def _first_model(self) -> list[Any]:
        s = self._s
        self._act("Drawing the archive and training the first model (v1.0.0) with the same pipeline")
        base, live = base_specs(s.base_photos, s.seed), live_specs(s.live_photos, s.seed)
        self._upload(base, "BASE")
        seeding.archive(seeding.garments(base, "BASE"), helper_dsn=s.helper_owner_dsn)
        # Live photos are drawn by one process while the first model trains: it leaves the second core to the training.
        painting = threading.Thread(target=self._paint, args=(live,))
        painting.start()
        first = self._pipeline("retrain", "--run-id", f"demo-first-{s.seed}", "--force", "demo")
        painting.join()
        self._say(
            f"{first['version']} serves: trained on {first['train_count']} images of an archive without tears, "
            f"grease and some fabrics"
        )
        self.report.record(first_model_version=first["version"], first_model_seconds=first["stage_seconds"])
        photos = self._some_photos()
        self._traffic = Traffic(s.replicas, photos)
        self._traffic.start()
        return live

    def _corrections(self, live: list[Any]) -> list[Confirmed]:
        s = self._s
        self._act(f"{len(live)} pieces of laundry: the AI's verdict, then a branch manager's")
        with self._bar("confirming", len(live)) as done:
            confirmed = confirm_all(s.helper_url, seeding.garments(live, "TASK"), done)
        corrections = sum(c.corrected for c in confirmed)
        agreement = 1 - corrections / len(confirmed)
        self._say(f"{corrections} verdicts corrected: the first model is right on {agreement:.1%}")
        mischief = Mischief(s.amqp_url)
        self._wait(lambda: mischief.waiting() >= len(confirmed), "the Helper's outbox to be published", 30)
        added = mischief.add(duplicates=_DUPLICATES, redeliveries=_REDELIVERIES)
        self.report.record(
            events_published=len(confirmed) + added,
            first_model_agreement=round(agreement, 4),
            garbage_published=len(GARBAGE),
            duplicates_published=_DUPLICATES,
        )
        return confirmed

    def _retraining(self, confirmed: list[Confirmed]) -> None:
        assert self._traffic is not None
        self._act("A quiet moment to measure steady latency")
        steady_from = time.monotonic()
        time.sleep(_STEADY_SECONDS)
        steady_to = time.monotonic()
        self._act(f"DAG {INTAKE} takes the events in; the policy decides")
        since = datetime.now(UTC)
        for dag in (RETRAINING, ROLLBACK, INTAKE):
            self._airflow.unpause(dag)
        run = self._wait(lambda: self._newest(RETRAINING, since), f"{INTAKE} to trigger {RETRAINING}", 120)
        self._record_intake()
        self._act(f"DAG {RETRAINING}, run {run['dag_run_id']}")
        triggered = time.monotonic()
        state = self._airflow.wait(RETRAINING, run["dag_run_id"], timeout_seconds=900, on_task=self._task_done)
        self._airflow.demand_success(RETRAINING, run["dag_run_id"], state)
        self.report.record(retraining_seconds=round(time.monotonic() - triggered, 1))
        self._record_retraining(run["dag_run_id"], steady_from, steady_to)

    def _rollback(self) -> None:
        f = self.report.figures
        self._act("Rolling back with DAG model_rollback, then forward again")
        started = time.monotonic()
        self._roll("previous", "demo: show the way back", f["previous_version"])
        self.report.record(rollback_seconds=round(time.monotonic() - started, 2))
        self._roll(f["model_version"], "demo: and forward again", f["model_version"])
        heard = self._events.wait_for("ModelRolledBackEvent", 2)
        self.report.demand(len(heard) >= 2, "ModelRolledBackEvent was published for both changes")

    # Measurements

    def _record_intake(self) -> None:
        self._wait(lambda: Mischief(self._s.amqp_url).waiting() == 0, "the queue to be empty", 60)
        stored, corrections = self._query("SELECT count(*), count(*) FILTER (WHERE corrected) FROM task_confirmations")[
            0
        ]
        reasons = Mischief(self._s.amqp_url).dead_letter_reasons()
        (decision,) = self._query(
            "SELECT reason FROM retraining_decisions WHERE due AND asked_by LIKE '%intake%'"
            " ORDER BY decided_at DESC LIMIT 1"
        )
        for reason in reasons:
            self._say(f"dead letter: {reason}")
        self._say(f"retraining is due: {decision[0]}")
        published = self.report.figures["events_published"]
        self.report.record(
            events_stored=stored,
            corrections=corrections,
            dead_lettered=len(reasons),
            duplicates_ignored=published - stored - len(reasons),
            retraining_reason=decision[0],
        )
        self.report.demand(all(reasons), "every dead letter says why")

    def _record_retraining(self, run_id: str, steady_from: float, steady_to: float) -> None:
        assert self._traffic is not None
        counts = self._airflow.result(RETRAINING, run_id, "assemble")
        swapped = self._airflow.result(RETRAINING, run_id, "hot_swap")
        tasks = self._airflow.tasks(RETRAINING, run_id)
        before, after = self._holdout_accuracy(run_id)
        swap_from, swap_to = _monotonic(tasks, "hot_swap")
        answers = self._traffic.answers()
        self.report.record(
            **{name: counts[name] for name in ("dataset_id", "image_count", "train_count", "validation_count")},
            model_version=swapped["version"],
            previous_version=swapped["previous_version"],
            holdout_accuracy_before=before,
            holdout_accuracy_after=after,
            stage_seconds={stage: _seconds(tasks, stage) for stage in _STAGES},
            deploy_seconds=swapped["deploy_seconds"],
            swap_milliseconds_max=swapped["swap_milliseconds_max"],
            request_p99_ms_steady=p99_ms(answers, steady_from, steady_to),
            request_p99_ms_during_swap=p99_ms(answers, swap_from, swap_to),
        )
        deployed = [
            e for e in self._events.wait_for("ModelDeployedEvent", 1) if e["modelVersion"] == swapped["version"]
        ]
        self.report.demand(bool(deployed), f"ModelDeployedEvent for {swapped['version']} was published")

    def _holdout_accuracy(self, run_id: str) -> tuple[float, float]:
        """Champion and candidate on the same holdout photos, as verification saw them."""
        (uri,) = self._query("SELECT result->>'artifact_uri' FROM training_results WHERE run_id = %s", run_id)[0]
        bucket, _, key = str(uri).removeprefix("s3://").partition("/")
        s3 = boto3.client("s3", endpoint_url=self._s.s3_endpoint)
        body = json.loads(s3.get_object(Bucket=bucket, Key=f"{key}predictions.json")["Body"].read())
        return _accuracy(body["champion_holdout"]), _accuracy(body["holdout"])

    def _requests(self) -> None:
        answers = self._traffic.answers() if self._traffic else []
        failed = [a for a in answers if a.error]
        for answer in failed[:5]:
            self._say(f"failed request at {answer.replica}: {answer.error}")
        self._say("answers by version: " + ", ".join(f"{v}: {n}" for v, n in sorted(versions(answers).items())))
        self.report.record(
            requests_sent=len(answers),
            requests_failed=len(failed),
            unversioned_answers=sum(not a.version and not a.error for a in answers),
        )

    # Small things

    def _roll(self, target: str, reason: str, expected: str) -> None:
        run_id = f"demo-{target}-{time.time_ns()}"
        self._airflow.trigger(ROLLBACK, run_id, {"target": target, "reason": reason, "model_type": "LAUNDRY"})
        state = self._airflow.wait(ROLLBACK, run_id, timeout_seconds=120)
        self._airflow.demand_success(ROLLBACK, run_id, state)
        self._wait(lambda: self._answered_by({expected}), f"both replicas to answer as {expected}", 30)
        self._say(f"both replicas answer as {expected}")

    def _answered_by(self, expected: set[str]) -> bool:
        assert self._traffic is not None
        newest: dict[str, Answer] = {a.replica: a for a in self._traffic.answers()}
        return {a.version for a in newest.values()} == expected

    def _newest(self, dag_id: str, since: datetime) -> dict[str, Any] | None:
        runs = [r for r in self._airflow.runs(dag_id, since=since) if r["run_type"] != "scheduled"]
        return runs[-1] if runs else None

    def _pipeline(self, *command: str) -> dict[str, Any]:
        """One command of `python -m pipeline`, its progress in `.stack/logs/demo-pipeline.log`."""
        log = self._s.root / "logs" / "demo-pipeline.log"
        with log.open("w") as out:
            done = subprocess.run(
                [sys.executable, "-m", "pipeline", *command],
                env={**os.environ, **self._s.environment},
                stdout=subprocess.PIPE,
                stderr=out,
                check=False,
            )
        if done.returncode != 0:
            tail = "\n".join(log.read_text().splitlines()[-15:])
            raise RuntimeError(f"python -m pipeline {command[0]} failed ({done.returncode}); end of {log}:\n{tail}")
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        if not answer.get("accepted", True):
            raise RuntimeError(f"the first model was refused: {'; '.join(answer['reasons'])}")
        return answer

    def _upload(self, specs: list[Any], prefix: str) -> list[bytes]:
        with self._bar("drawing", len(specs)) as done:
            return seeding.upload(specs, prefix, endpoint=self._s.s3_endpoint, on_done=done)

    def _paint(self, specs: list[Any]) -> None:
        seeding.upload(specs, "TASK", endpoint=self._s.s3_endpoint, on_done=lambda: None, processes=1)

    def _some_photos(self, count: int = 32) -> list[bytes]:
        s3 = boto3.client("s3", endpoint_url=self._s.s3_endpoint)
        keys = [f"TASK-{number:05d}.jpg" for number in range(count)]
        return [s3.get_object(Bucket=seeding.BUCKET, Key=key)["Body"].read() for key in keys]

    def _query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(self._s.environment["RETRAIN_MLOPS_DSN"])
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            rows = cursor.fetchall()
        connection.close()
        return rows

    def _wait(self, ready: Callable[[], Any], what: str, seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := ready():
                return found
            time.sleep(0.5)
        raise TimeoutError(f"waited {seconds:.0f} s for {what}")

    def _task_done(self, task: TaskTime) -> None:
        assert task.started and task.ended
        index = f"[{task.map_index}]" if task.map_index >= 0 else ""
        self._say(f"{task.task_id}{index}: {task.state} in {(task.ended - task.started).total_seconds():.1f} s")

    def _act(self, title: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._started:6.1f} s[/]  [bold]{title}[/]")

    def _say(self, text: str) -> None:
        self._console.print(f"          {text}", markup=False, highlight=False)

    def _bar(self, title: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        return _Bar(self._console, title, total) if self._progress else nullcontext(lambda: None)


class _Bar:
    def __init__(self, console: Console, title: str, total: int) -> None:
        self._progress = Progress(console=console, transient=True)
        self._task = self._progress.add_task(title, total=total)

    def __enter__(self) -> Callable[[], None]:
        self._progress.start()
        return lambda: self._progress.advance(self._task)

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()


def _accuracy(predictions: list[dict[str, str]]) -> float:
    return round(sum(p["label"] == p["predicted"] for p in predictions) / len(predictions), 4)


def _of_stage(tasks: list[TaskTime], stage: str) -> list[tuple[datetime, datetime]]:
    """Times of a stage's tasks: the task itself, or the tasks of the group with its name."""
    return [
        (t.started, t.ended)
        for t in tasks
        if t.started and t.ended and (t.task_id.split(".")[0] == stage or t.task_id == f"{stage}_slice")
    ]


def _seconds(tasks: list[TaskTime], stage: str) -> float:
    times = _of_stage(tasks, stage)
    return round((max(e for _, e in times) - min(s for s, _ in times)).total_seconds(), 2) if times else 0.0


def _monotonic(tasks: list[TaskTime], stage: str) -> tuple[float, float]:
    """A stage's begin and end on this process's monotonic clock."""
    ago = time.monotonic() - time.time()
    times = _of_stage(tasks, stage)
    return min(s for s, _ in times).timestamp() + ago, max(e for _, e in times).timestamp() + ago
