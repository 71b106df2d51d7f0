"""The loop, told in order: first model, corrections, retraining, hot swap, rollback and forward again."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from include.demo import measurements, seeding
from include.demo.boards import empty
from include.demo.branch_managers import GARBAGE, Confirmed, Mischief, confirm_all, hand_in
from include.demo.figures import Compared, compare
from include.demo.photos import PhotoSpec, base_specs, live_specs
from include.demo.prometheus import PrometheusApi, prometheus_of
from include.demo.report import Report
from include.demo.stage import Stage
from include.demo.traffic import p99_ms
from include.stack.airflow_api import TaskTime
from include.stack.layout import environment
from pipeline.bootstrap import Pipeline

INTAKE, RETRAINING, ROLLBACK = "task_confirmed_intake", "laundry_model_retraining", "model_rollback"
# Nobody has looked at them yet when the demo ends.
LEFT_FOR_YOU = 24
_DUPLICATES, _REDELIVERIES = 7, 5
_STEADY_SECONDS = 10.0
# Prometheus has seen the last change by then, whatever else the machine does.
_SCRAPED_SECONDS = 60.0
_PHOTOS_SENT = 32
_STAGES = ("collect", "validate", "augment", "train", "verify", "register", "hot_swap")
_INTAKE_DECISION = """
    SELECT reason FROM retraining_decisions WHERE due AND asked_by LIKE '%intake%' ORDER BY decided_at DESC LIMIT 1"""


@dataclass(frozen=True)
class Size:
    """How many photos the first model learns from, how many tasks are confirmed, and how often each replica is asked
    meanwhile; every seed has other photos.
    """

    base_photos: int
    live_photos: int
    requests_per_second: float
    seed: int


class Story:
    """One telling; every act prints what it does and records what it measured."""

    def __init__(self, stage: Stage, size: Size) -> None:
        self._stage, self._size = stage, size
        self._mischief = Mischief(stage.stack.amqp_url)
        self._serving_since = time.monotonic()

    def tell(self) -> Report:
        with self._stage:
            live = self._first_model()
            self._corrections(live)
            self._retraining()
            self._rollback()
            self._leave_some()
        report = self._stage.conclude()
        report.judge_loop()
        return report

    # Acts

    def _first_model(self) -> list[PhotoSpec]:
        stage, stack, size = self._stage, self._stage.stack, self._size
        stage.act("Drawing the archive and training the first model (v1.0.0) with the same pipeline")
        base, live = base_specs(size.base_photos, size.seed), live_specs(size.live_photos, size.seed)
        with stage.bar("drawing", len(base)) as done:
            seeding.upload(base, "BASE", endpoint=stack.s3_endpoint, on_done=done)
        seeding.archive(seeding.garments(base, "BASE"), helper_dsn=stack.dsn("helper", "helper"))
        with ThreadPoolExecutor(1) as beside:
            painting = beside.submit(self._paint, live)
            first = self._retrain(f"demo-first-{size.seed}")
            photos = painting.result()
        stage.say(
            f"{first['version']} serves: trained on {first['train_count']} images of an archive without tears, "
            "grease and some fabrics"
        )
        stage.report.record(first_model_version=first["version"], first_model_seconds=first["stage_seconds"])
        stage.send(photos[:_PHOTOS_SENT], size.requests_per_second)
        self._serving_since = time.monotonic()
        return live

    def _corrections(self, live: list[PhotoSpec]) -> None:
        stage = self._stage
        stage.act(f"{len(live)} pieces of laundry: the AI's verdict, then a branch manager's")
        helper_url = f"http://127.0.0.1:{stage.stack.port('helper')}"
        with stage.bar("confirming", len(live)) as done:
            confirmed: list[Confirmed] = confirm_all(helper_url, seeding.garments(live, "DEMO"), done)
        corrections = sum(c.corrected for c in confirmed)
        agreement = 1 - corrections / len(confirmed)
        stage.say(f"{corrections} verdicts corrected: the first model is right on {agreement:.1%}")
        stage.wait(lambda: self._mischief.waiting() >= len(confirmed), "the Helper's outbox to be published", 30)
        added = self._mischief.add(duplicates=_DUPLICATES, redeliveries=_REDELIVERIES)
        stage.report.record(
            events_published=len(confirmed) + added,
            first_model_agreement=round(agreement, 4),
            garbage_published=len(GARBAGE),
            duplicates_published=_DUPLICATES,
        )

    def _retraining(self) -> None:
        stage, airflow = self._stage, self._stage.airflow
        stage.act("A quiet moment to measure steady latency")
        steady_from = time.monotonic()
        time.sleep(_STEADY_SECONDS)
        steady = steady_from, time.monotonic()
        stage.act(f"DAG {INTAKE} takes the events in; the policy decides")
        since = datetime.now(UTC)
        for dag in (RETRAINING, ROLLBACK, INTAKE):
            airflow.unpause(dag)
        run_id = stage.wait(lambda: self._triggered_since(since), f"{INTAKE} to trigger {RETRAINING}", 120)
        self._record_intake()
        stage.act(f"DAG {RETRAINING}, run {run_id}")
        triggered = time.monotonic()
        state = airflow.wait(RETRAINING, run_id, timeout_seconds=900, on_task=self._task_done)
        airflow.demand_success(RETRAINING, run_id, state)
        stage.report.record(retraining_seconds=round(time.monotonic() - triggered, 1))
        self._record_retraining(run_id, steady)

    def _rollback(self) -> None:
        stage, report = self._stage, self._stage.report
        stage.act(f"Rolling back with DAG {ROLLBACK}, then forward again")
        started = time.monotonic()
        self._roll("previous", "demo: show the way back", report.figures["previous_version"])
        report.record(rollback_seconds=round(time.monotonic() - started, 2))
        newest = report.figures["model_version"]
        self._roll(newest, "demo: and forward again", newest)
        heard = stage.events.wait_for("ModelRolledBackEvent", 2)
        report.demand(len(heard) >= 2, "ModelRolledBackEvent was published for both changes")

    def _leave_some(self) -> None:
        stage, stack, seed = self._stage, self._stage.stack, self._size.seed + 1
        stage.act(
            f"{LEFT_FOR_YOU} more pieces get the new model's verdict and wait for a person: you, on the review page"
        )
        specs = live_specs(LEFT_FOR_YOU, seed)
        seeding.upload(specs, "YOURS", endpoint=stack.s3_endpoint, on_done=lambda: None, processes=1)
        hand_in(f"http://127.0.0.1:{stack.port('helper')}", seeding.garments(specs, "YOURS"))

    def _metrics(self) -> None:
        stage, report, api = self._stage, self._stage.report, prometheus_of(self._stage.stack)
        stage.act("Every figure of the specification, read from Prometheus and held against the database")
        # As the monitor looks, which a demo keeps paused.
        Pipeline.from_env().watch("LAUNDRY")
        deadline = time.monotonic() + _SCRAPED_SECONDS
        while (compared := self._compare(api)).wrong and time.monotonic() < deadline:
            time.sleep(1)
        report.record(metrics=compared.seen)
        for sentence in compared.wrong:
            stage.say(sentence)
            report.demand(False, sentence)
        stage.say(f"{len(compared.seen)} figures, {len(compared.wrong)} of them wrong")
        for query in empty(api):
            report.demand(False, f"{query.kind} {query.place} of the board {query.board} shows {query.expr}")

    def _compare(self, api: PrometheusApi) -> Compared:
        return compare(api, self._stage.query, time.monotonic() - self._serving_since)

    # Measurements

    def _record_intake(self) -> None:
        stage, report = self._stage, self._stage.report
        stage.wait(lambda: self._mischief.waiting() == 0, "the queue to be empty", 60)
        counted = stage.query("SELECT count(*), count(*) FILTER (WHERE corrected) FROM task_confirmations")
        stored, corrections = counted[0]
        reasons = self._mischief.dead_letter_reasons()
        ((due_because,),) = stage.query(_INTAKE_DECISION)
        for reason in reasons:
            stage.say(f"dead letter: {reason}")
        stage.say(f"retraining is due: {due_because}")
        report.record(
            events_stored=stored,
            corrections=corrections,
            dead_lettered=len(reasons),
            duplicates_ignored=report.figures["events_published"] - stored - len(reasons),
            retraining_reason=due_because,
        )
        report.demand(all(reasons), "every dead letter says why")

    def _record_retraining(self, run_id: str, steady: tuple[float, float]) -> None:
        stage, airflow = self._stage, self._stage.airflow
        counts = airflow.result(RETRAINING, run_id, "assemble")
        swapped = airflow.result(RETRAINING, run_id, "hot_swap")
        tasks, answers = airflow.tasks(RETRAINING, run_id), stage.answers()
        before, after = self._holdout_accuracy(run_id)
        stage.report.record(
            **{name: counts[name] for name in ("dataset_id", "image_count", "train_count", "validation_count")},
            model_version=swapped["version"],
            previous_version=swapped["previous_version"],
            holdout_accuracy_before=before,
            holdout_accuracy_after=after,
            stage_seconds={name: measurements.seconds(tasks, name) for name in _STAGES},
            deploy_seconds=swapped["deploy_seconds"],
            swap_milliseconds_max=swapped["swap_milliseconds_max"],
            request_p99_ms_steady=p99_ms(answers, *steady),
            request_p99_ms_during_swap=p99_ms(answers, *measurements.on_our_clock(tasks, "hot_swap")),
        )
        told = [e["modelVersion"] for e in stage.events.wait_for("ModelDeployedEvent", 1)]
        promise = f"ModelDeployedEvent for {swapped['version']} was published"
        stage.report.demand(swapped["version"] in told, promise)

    def _holdout_accuracy(self, run_id: str) -> tuple[float, float]:
        """Champion and candidate on the same holdout photos, as verification saw them."""
        sql = "SELECT result->>'artifact_uri' FROM training_results WHERE run_id = %s"
        ((uri,),) = self._stage.query(sql, run_id)
        kept = json.loads(seeding.read(f"{uri}predictions.json", endpoint=self._stage.stack.s3_endpoint))
        return measurements.accuracy(kept["champion_holdout"]), measurements.accuracy(kept["holdout"])

    # Steps of acts

    def _paint(self, specs: list[PhotoSpec]) -> list[bytes]:
        """Draw and upload the live photos in one process, which leaves the other core to the training."""
        endpoint = self._stage.stack.s3_endpoint
        return seeding.upload(specs, "DEMO", endpoint=endpoint, on_done=lambda: None, processes=1)

    def _retrain(self, run_id: str) -> dict[str, Any]:
        """The first model, by `python -m pipeline`; its progress is in `.stack/logs/demo-pipeline.log`."""
        stack = self._stage.stack
        log = stack.log("demo-pipeline")
        command = [sys.executable, "-m", "pipeline", "retrain", "--run-id", run_id, "--force", "demo"]
        with log.open("w") as out:
            variables = {**os.environ, **environment(stack)}
            done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, stderr=out, check=False)
        if done.returncode != 0:
            # A command that cannot go on says why, and what to do, in its last line.
            (*_, why) = log.read_text().splitlines() or [""]
            raise RuntimeError(
                f"`python -m pipeline retrain` ended with {done.returncode}; {why} (all that it said: {log})"
            )
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def _roll(self, target: str, reason: str, expected: str) -> None:
        stage, airflow, run_id = self._stage, self._stage.airflow, f"demo-{target}-{time.time_ns()}"
        airflow.trigger(ROLLBACK, run_id, {"target": target, "reason": reason, "model_type": "LAUNDRY"})
        airflow.demand_success(ROLLBACK, run_id, airflow.wait(ROLLBACK, run_id, timeout_seconds=120))
        stage.wait_until_served(expected)
        stage.say(f"both replicas answer as {expected}")

    def _triggered_since(self, since: datetime) -> str | None:
        """Id of the newest retraining that no schedule started."""
        runs = self._stage.airflow.runs(RETRAINING, run_after_gte=since.isoformat())
        return next((run["dag_run_id"] for run in reversed(runs) if run["run_type"] != "scheduled"), None)

    def _task_done(self, task: TaskTime) -> None:
        assert task.started and task.ended
        index = f"[{task.map_index}]" if task.map_index >= 0 else ""
        self._stage.say(f"{task.task_id}{index}: {task.state} in {(task.ended - task.started).total_seconds():.1f} s")
