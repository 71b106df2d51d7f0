"""`python -m include.demo.drill`: what happens after a model is live, on the running stack, in one go."""

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import click

from include.demo.airflow_api import AirflowApi, DagRunFailed
from include.demo.branch_managers import Mischief
from include.demo.drill_models import derive
from include.demo.drill_stage import Stage, console
from include.demo.event_log import EventLog
from include.demo.report import Report
from include.demo.story import INTAKE, RETRAINING, ROLLBACK
from include.stack.layout import Stack, default_root, environment, load
from include.stack.services import StackError
from include.stack.supervision import Supervision
from pipeline.adapters.blessing_table import BlessingTable
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.bootstrap import GiveUp, TryAgain
from pipeline.domain.blessing import Override, OverrideKind

MONITOR, PROMOTION, RETENTION = "live_accuracy_monitor", "model_promotion", "model_retention"
_ACTOR = "drill"
# The drill takes confirmations in itself, so that its wrong verdicts start no retraining.
_QUIET, _NEEDED = (INTAKE, RETRAINING, MONITOR), (ROLLBACK, PROMOTION, RETENTION)
_BATCH, _BATCHES = 150, 6
_MONITOR_PERIOD_SECONDS = 60
_EVENTS = (
    "ModelRolledBackEvent",
    "LiveAccuracyLowEvent",
    "CanaryStartedEvent",
    "CanaryAbortedEvent",
    "CanaryPromotedEvent",
)
# A busy machine must not look like a slow model, and the drill's candidates are not what is measured here.
_PATIENCE = {
    "RETRAIN_PERFORMANCE_REQUESTS": "100",
    "RETRAIN_MIN_THROUGHPUT_PER_SECOND": "5",
    "RETRAIN_MAX_MEAN_LATENCY_MS": "2000",
}


class Drill(Stage):
    """One drill; every act prints what it does, and goes on after one that did not happen."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self._database = MlopsDatabase(stack.dsn("mlops", "mlops"))
        url = f"http://127.0.0.1:{stack.port('airflow')}"
        self._airflow = AirflowApi(url, "admin", stack.secrets["airflow_admin"])
        self._events = EventLog(stack.amqp_url)

    def run(self) -> Report:
        champion = self._champion()
        self._act(f"{champion} serves. Photos for the drill, and traffic on both replicas")
        self._set()
        self._events.start()
        before = {dag: self._airflow.paused(dag) for dag in (*_QUIET, *_NEEDED)}
        try:
            for dag in before:
                self._airflow.pause(dag) if dag in _QUIET else self._airflow.unpause(dag)
            for act in (
                self._bad_model,
                self._aborted_canary,
                self._promoted_canary,
                self._archive,
                self._dead_letters,
            ):
                self._attempt(act)
            self._hear()
        finally:
            self._leave_well(champion, before)
        self._requests()
        self.report.record(total_seconds=round(time.monotonic() - self._started, 1))
        return self.report

    def _hear(self) -> None:
        self._pipeline.publish_events()
        for event_type in _EVENTS:
            heard = self._events.wait_for(event_type, 1, timeout_seconds=10)
            self.report.demand(bool(heard), f"{event_type} was published")

    def _leave_well(self, champion: str, before: dict[str, bool]) -> None:
        """No bad model stays live, and every DAG is as it was but for the intake: it would start a retraining on the
        wrong verdicts of the drill.
        """
        if self._champion() == self.report.figures.get("bad_version"):
            reason, request_id = "drill: the monitor did not roll back", f"drill-{self._stamp}"
            self._pipeline.roll_back("LAUNDRY", champion, reason, _ACTOR, request_id)
        for dag, paused in before.items():
            self._airflow.pause(dag) if paused or dag == INTAKE else self._airflow.unpause(dag)
        self._say(f"{INTAKE} stays paused: unpaused, it starts a retraining on the drill's corrections")
        if self._traffic:
            self._traffic.stop()
        self._events.stop()

    # Acts

    def _bad_model(self) -> None:
        self._act("A model that answers upside down is forced live; branch managers go on confirming")
        champion, run_id = self._champion(), f"drill-bad-{self._stamp}"
        self._derive(run_id, upside_down=True)
        self._pipeline.verify_performance(run_id)
        self._pipeline.decide(run_id)
        reason = "drill: a deliberately bad model"
        forced = self._pipeline.force_promote("LAUNDRY", run_id, _ACTOR, reason, request_id=run_id)
        bad = forced["version"]
        self.report.record(bad_version=bad)
        self._say(f"{bad} serves; verification had refused it, {_ACTOR} forced it")
        self._confirm(_BATCH)
        self._airflow.unpause(MONITOR)
        fell_at = time.monotonic()
        self._wait(lambda: self._champion() != bad, "the monitor to roll back", 4 * _MONITOR_PERIOD_SECONDS)
        self._wait(lambda: self._answered_by({champion}), f"both replicas to answer as {champion}", 30)
        seconds = round(time.monotonic() - fell_at, 1)
        self._airflow.pause(MONITOR)
        (kind, actor, why) = self._query(
            "SELECT kind, actor, reason FROM transitions WHERE phase = 'served' AND model_type = 'LAUNDRY'"
            " ORDER BY position DESC LIMIT 1"
        )[0]
        self._say(f"{actor} rolled back to {champion} after {seconds} s: {why}")
        self.report.record(automatic_rollback_seconds=seconds, rollback_reason=why)
        self.report.demand(kind == "rollback_auto", "the monitor itself rolled back")
        self.report.demand(seconds <= 2 * _MONITOR_PERIOD_SECONDS, "within two periods of the monitor")
        self._pipeline.clear_freeze("LAUNDRY", _ACTOR, "drill: the model was bad on purpose")

    def _aborted_canary(self) -> None:
        self._act("A canary of such a model: a tenth of the tasks, until people have seen enough")
        champion, version = self._champion(), self._candidate("drill-worse", upside_down=True)
        state = self._canary(version)
        self.report.record(aborted_version=version, canary_aborted=state == "failed" and self._champion() == champion)
        self._say(self._ended_canary(version))
        self.report.demand(bool(self.report.figures["canary_aborted"]), "the bad canary was aborted")

    def _promoted_canary(self) -> None:
        self._act("A canary of a model that is as good as the champion")
        version = self._candidate("drill-same", upside_down=False)
        state = self._canary(version)
        promoted = state == "success" and self._champion() == version
        self.report.record(promoted_version=version, canary_promoted=promoted)
        self._say(self._ended_canary(version))
        self.report.demand(promoted, "the good canary was promoted")

    def _archive(self) -> None:
        self._act("All but the versions that are needed go to the archive, and come back")
        run_id = f"drill-{self._stamp}"
        self._airflow.trigger(RETENTION, run_id, {"keep": 1, "dry_run": False})
        self._airflow.demand_success(RETENTION, run_id, self._airflow.wait(RETENTION, run_id, timeout_seconds=120))
        rows = self._query("SELECT version FROM model_versions WHERE status = 'ARCHIVED' AND model_type = 'LAUNDRY'")
        archived = sorted(version for (version,) in rows)
        restored = [self._pipeline.restore("LAUNDRY", version, _ACTOR)["version"] for version in archived]
        self._say(f"archived and restored: {', '.join(archived)}")
        self.report.record(archived=archived, restored=restored)
        self.report.demand(bool(archived) and restored == archived, "what was archived was restored")

    def _dead_letters(self) -> None:
        self._act("A confirmation from a clock that is ahead: dead letter, then put back")
        soon = datetime.now(UTC) + timedelta(minutes=5, seconds=8)
        message_id = Mischief(self._stack.amqp_url).from_the_future(f"DRILL-{self._stamp}-ahead", soon)
        self._pipeline.accumulate()
        letters = [letter for letter in self._pipeline.dead_letters.all() if letter.message_id == message_id]
        self._say(f"dead letter: {letters[0].reason if letters else 'none'}")
        time.sleep(9)
        for letter in letters:
            self._pipeline.dead_letters.requeue(letter.id)
        self._pipeline.accumulate()
        stored = bool(self._query("SELECT 1 FROM task_confirmations WHERE key = %s", message_id))
        self.report.record(dead_letters_requeued=len(letters))
        self.report.demand(bool(letters) and stored, "the dead letter was put back and stored")

    # Steps of acts

    def _candidate(self, name: str, *, upside_down: bool) -> str:
        """A registered version that somebody approved; verification measured it beside the champion."""
        run_id = f"{name}-{self._stamp}"
        self._derive(run_id, upside_down=upside_down)
        self._pipeline.verify_accuracy(run_id)
        self._pipeline.verify_performance(run_id)
        self._pipeline.decide(run_id)
        approval = Override(run_id, OverrideKind.APPROVED, _ACTOR, "drill: let people decide", datetime.now(UTC))
        BlessingTable(self._database).override(approval)
        return self._pipeline.register(run_id)

    def _derive(self, run_id: str, *, upside_down: bool) -> None:
        (champion_run,) = self._query(
            "SELECT run_id FROM model_versions WHERE model_type = 'LAUNDRY' AND version = %s", self._champion()
        )[0]
        objects = S3ObjectStore(endpoint=self._stack.s3_endpoint)
        derive(run_id, champion_run, upside_down=upside_down, database=self._database, objects=objects)

    def _canary(self, version: str) -> str:
        """The state in which the promotion ended; confirmations come in until it does."""
        run_id = f"drill-{version}-{self._stamp}"
        conf = {"version": version, "rollout": "canary", "reason": "drill", "approval": False}
        self._airflow.trigger(PROMOTION, run_id, conf)
        self._wait(lambda: self._noted("canary_start", version), f"the canary of {version} to begin", 90)
        for _ in range(_BATCHES):
            self._confirm(_BATCH)
            verdict = self._pipeline.judge_canary("LAUNDRY", version)
            self._say(verdict["reason"])
            if verdict["decision"] != "wait":
                break
        return self._airflow.wait(PROMOTION, run_id, timeout_seconds=120)

    def _attempt(self, act: Callable[[], None]) -> None:
        try:
            act()
        except (GiveUp, TryAgain, DagRunFailed, RuntimeError, TimeoutError) as error:
            console.print(f"          [red]did not happen:[/] {error}")
            self.report.demand(False, f"{act.__name__.strip('_').replace('_', ' ')}: {error}")


def finish(report: Report) -> None:
    """What the report has to show, whatever kept an act from happening."""
    for name in ("automatic_rollback_seconds", "canary_promoted", "canary_aborted", "archived", "restored"):
        if name not in report.figures:
            report.record(**{name: None})


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A bad model, its automatic rollback, two canaries, the archive and dead letters; needs a stack with a model."""
    stack = load(default_root())
    if stack is None or not Supervision(stack).running():
        raise StackError("the stack is down: `make demo` starts it and trains a first model")
    os.environ.update({**environment(stack), **_PATIENCE})
    report = Drill(stack).run()
    finish(report)
    report.write(stack.root / "drill-report.json")
    report.show(console)
    console.print(f"report: {stack.root / 'drill-report.json'}", soft_wrap=True)
    sys.exit(1 if report.broken else 0)


if __name__ == "__main__":
    try:
        main()
    except (StackError, DagRunFailed, RuntimeError, TimeoutError, GiveUp, TryAgain) as error:
        console.print(f"[bold red]the drill cannot go on:[/] {error}")
        sys.exit(1)
