"""`python -m include.demo.drill`: what can happen after a model is live, played on the running stack."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import click
from rich.console import Console

from include.demo.alarms import Alarms, Siren
from include.demo.branch_managers import Mischief
from include.demo.drill_faces import drill_faces
from include.demo.drill_models import Store, derive
from include.demo.drill_world import History, Tasks
from include.demo.loss import lose_a_table
from include.demo.report import Report
from include.demo.stage import Stage, publish, refusals_as_sentences
from include.demo.story import INTAKE, RETRAINING, ROLLBACK
from include.stack.layout import default_root, environment, load
from include.stack.services import StackError, demand_complete
from include.stack.signing_keys import SigningKeys
from include.stack.supervision import Supervision
from pipeline.adapters.blessing_table import BlessingTable
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.bootstrap import Pipeline, RollbackRequest
from pipeline.domain.blessing import Override, OverrideKind

MONITOR, PROMOTION, RETENTION = "live_accuracy_monitor", "model_promotion", "model_retention"
_ACTOR = "drill"
# The drill takes confirmations in itself, so that its wrong verdicts start no retraining.
_QUIET, _NEEDED = (INTAKE, RETRAINING, MONITOR), (ROLLBACK, PROMOTION, RETENTION)
_FAILING = "LiveAccuracyFailing"
_BATCH, _BATCHES = 150, 12
_MONITOR_PERIOD_SECONDS = 60
# Airflow starts the run, and every replica loads the model; beside other work that takes minutes.
_BEGIN_SECONDS = 300.0
# On a few dozen confirmations a canary that is as good may look worse, once in a while by chance; twice is none.
_TRIALS = 2
# A confirmation from more than five minutes ahead is a dead letter; this one stops being that far ahead in seconds.
_AHEAD, _UNTIL_USABLE_SECONDS = timedelta(minutes=5, seconds=8), 9
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

console = Console(highlight=False)


class Drill:
    """One drill; every act prints what it does, and when it is refused the next one follows."""

    def __init__(self, stage: Stage, pipeline: Pipeline, tasks: Tasks) -> None:
        self._stage, self._pipeline, self._tasks = stage, pipeline, tasks
        self._stamp = tasks.stamp
        self._database = MlopsDatabase(stage.stack.dsn("mlops", "mlops"))
        self._history = History(stage)

    def run(self) -> Report:
        champion = self._history.champion()
        with self._stage:
            self._stage.act(f"{champion} serves. Photos for the drill, and traffic on both replicas")
            self._tasks.begin()
            with ExitStack() as afterwards:
                afterwards.callback(self._tasks.leave_nothing)
                afterwards.enter_context(self._dags_of_the_drill())
                afterwards.enter_context(self._no_bad_model_left(champion))
                self._acts()
                self._hear()
        report = self._stage.conclude()
        finish(report)
        return report

    def _acts(self) -> None:
        for act in (
            self._bad_model,
            self._aborted_canary,
            self._promoted_canary,
            self._archive,
            self._dead_letters,
            self._dropped_table,
        ):
            self._stage.attempt(act)

    def _hear(self) -> None:
        self._pipeline.publish_events()
        for event_type in _EVENTS:
            heard = self._stage.events.wait_for(event_type, 1, timeout_seconds=10)
            self._stage.report.demand(bool(heard), f"{event_type} was published")

    @contextmanager
    def _dags_of_the_drill(self) -> Iterator[None]:
        """Only the drill's DAGs run inside. Afterwards each is as it was, but the intake stays paused."""
        airflow = self._stage.airflow
        before = {dag: airflow.paused(dag) for dag in (*_QUIET, *_NEEDED)}
        try:
            for dag in before:
                airflow.pause(dag) if dag in _QUIET else airflow.unpause(dag)
            yield
        finally:
            for dag, paused in before.items():
                airflow.pause(dag) if paused or dag == INTAKE else airflow.unpause(dag)
            self._stage.say(f"{INTAKE} stays paused: unpaused, it starts a retraining on the drill's corrections")

    @contextmanager
    def _no_bad_model_left(self, champion: str) -> Iterator[None]:
        try:
            yield
        finally:
            if self._history.champion() == self._stage.report.figures.get("bad_version"):
                reason, request_id = "drill: the monitor did not roll back", f"drill-{self._stamp}"
                asked = RollbackRequest(champion, datetime.now(UTC))
                self._pipeline.roll_back("LAUNDRY", asked, _ACTOR, reason, request_id)

    # Acts

    def _bad_model(self) -> None:
        stage, champion = self._stage, self._history.champion()
        stage.act("A model that answers upside down is forced live; branch managers go on confirming")
        bad = self._forced_live(f"drill-bad-{self._stamp}")
        stage.report.record(bad_version=bad)
        stage.say(f"{bad} serves; verification had refused it, {_ACTOR} forced it")
        self._tasks.confirm(_BATCH)
        siren = Siren(stage)
        # A look by hand is recorded as the monitor's are, and takes nothing down.
        self._pipeline.watch("LAUNDRY")
        stage.report.demand(siren.fires(_FAILING, version=bad), f"{_FAILING} fired while {bad} served")
        stage.airflow.unpause(MONITOR)
        fell_at, patience = time.monotonic(), 4 * _MONITOR_PERIOD_SECONDS
        stage.wait(lambda: self._history.champion() != bad, "the monitor to roll back", patience)
        stage.wait_until_served(champion)
        seconds = round(time.monotonic() - fell_at, 1)
        stage.airflow.pause(MONITOR)
        _, kind, actor, why = self._history.newest_change()
        stage.say(f"{actor} rolled back to {champion} after {seconds} s: {why}")
        stage.report.record(automatic_rollback_seconds=seconds, rollback_reason=why)
        stage.report.demand(kind == "rollback_auto", "the monitor itself rolled back")
        stage.report.demand(siren.is_silent(_FAILING), f"{_FAILING} was over with the rollback")
        stage.report.demand(seconds <= 2 * _MONITOR_PERIOD_SECONDS, "within two periods of the monitor")
        self._pipeline.clear_freeze("LAUNDRY", _ACTOR, "drill: the model was bad on purpose", f"drill-{self._stamp}")

    def _aborted_canary(self) -> None:
        stage, champion = self._stage, self._history.champion()
        stage.act("A canary of such a model: a tenth of the tasks, until people have seen enough")
        version, state = self._trial(f"drill-worse-{self._stamp}", upside_down=True)
        aborted = state == "failed" and self._history.champion() == champion
        stage.report.record(aborted_version=version, canary_aborted=aborted)
        stage.report.demand(aborted, "the bad canary was aborted")

    def _promoted_canary(self) -> None:
        stage = self._stage
        stage.act("A canary of a model that is as good as the champion")
        for attempt in range(1, _TRIALS + 1):
            version, state = self._trial(f"drill-same-{attempt}-{self._stamp}", upside_down=False)
            promoted = state == "success" and self._history.champion() == version
            if promoted:
                break
        stage.report.record(promoted_version=version, canary_promoted=promoted)
        stage.report.demand(promoted, "the good canary was promoted")

    def _archive(self) -> None:
        stage, airflow, run_id = self._stage, self._stage.airflow, f"drill-{self._stamp}"
        stage.act("All but the versions that are needed go to the archive, and come back")
        airflow.trigger(RETENTION, run_id, {"keep": 1, "dry_run": False})
        airflow.demand_success(RETENTION, run_id, airflow.wait(RETENTION, run_id, timeout_seconds=120))
        rows = stage.query("SELECT version FROM model_versions WHERE status = 'ARCHIVED' AND model_type = 'LAUNDRY'")
        archived = sorted(version for (version,) in rows)
        restored = [self._pipeline.restore("LAUNDRY", one, _ACTOR, run_id)["version"] for one in archived]
        stage.say(f"archived and restored: {', '.join(archived)}")
        stage.report.record(archived=archived, restored=restored)
        stage.report.demand(bool(archived) and restored == archived, "what was archived was restored")

    def _dead_letters(self) -> None:
        stage, letters_of = self._stage, self._pipeline.dead_letters
        stage.act("A confirmation from a clock that is ahead: dead letter, then put back")
        ahead = f"DRILL-{self._stamp}-ahead"
        message_id = Mischief(stage.stack.amqp_url).from_the_future(ahead, datetime.now(UTC) + _AHEAD)
        self._pipeline.accumulate()
        letters = [letter for letter in letters_of.all() if letter.message_id == message_id]
        stage.say(f"dead letter: {letters[0].reason if letters else 'none'}")
        time.sleep(_UNTIL_USABLE_SECONDS)
        for letter in letters:
            letters_of.requeue(letter.id)
        self._pipeline.accumulate()
        stored = bool(stage.query("SELECT 1 FROM task_confirmations WHERE task_id = %s", ahead))
        stage.report.record(dead_letters_requeued=len(letters))
        stage.report.demand(bool(letters) and stored, "the dead letter was put back and stored")

    def _dropped_table(self) -> None:
        lose_a_table(self._stage, self._pipeline)

    # Steps of acts

    def _forced_live(self, run_id: str) -> str:
        """The version of a bad model, which serves against the verdict."""
        self._judged(run_id, upside_down=True)
        reason = "drill: a deliberately bad model"
        return str(self._pipeline.force_promote("LAUNDRY", run_id, _ACTOR, reason, request_id=run_id)["version"])

    def _approved_candidate(self, run_id: str, *, upside_down: bool) -> str:
        """A registered version that somebody approved; verification measured it beside the champion."""
        self._judged(run_id, upside_down=upside_down)
        approval = Override(run_id, OverrideKind.APPROVED, _ACTOR, "drill: let people decide", datetime.now(UTC))
        BlessingTable(self._database).override(approval)
        return self._pipeline.register(run_id)

    def _trial(self, run_id: str, *, upside_down: bool) -> tuple[str, str]:
        """A version that went on trial, and the state in which its promotion ended."""
        version = self._approved_candidate(run_id, upside_down=upside_down)
        state = self._canary(version)
        self._stage.say(self._history.end_of_canary(version))
        return version, state

    def _judged(self, run_id: str, *, upside_down: bool) -> None:
        """A candidate with its verdict, measured beside the champion."""
        self._derive(run_id, upside_down=upside_down)
        self._pipeline.verify_accuracy(run_id)
        self._pipeline.verify_performance(run_id)
        self._pipeline.decide(run_id)

    def _derive(self, run_id: str, *, upside_down: bool) -> None:
        champion_run = self._history.run_of(self._history.champion())
        stack = self._stage.stack
        store = Store(S3ObjectStore(endpoint=stack.s3_endpoint), SigningKeys.of_stack(stack.root).private)
        derive(run_id, champion_run, upside_down=upside_down, database=self._database, store=store)

    def _canary(self, version: str) -> str:
        """The state in which the promotion ended; confirmations come in until it does."""
        stage, run_id = self._stage, f"drill-{version}-{self._stamp}"
        conf = {"version": version, "rollout": "canary", "reason": "drill", "approval": False}
        stage.airflow.trigger(PROMOTION, run_id, conf)
        stage.wait(
            lambda: self._history.noted("canary_start", version), f"the canary of {version} to begin", _BEGIN_SECONDS
        )
        for _ in range(_BATCHES):
            self._tasks.confirm(_BATCH)
            verdict = self._pipeline.judge_canary("LAUNDRY", version)
            stage.say(verdict["reason"])
            if verdict["decision"] != "wait":
                break
        return stage.airflow.wait(PROMOTION, run_id, timeout_seconds=120)


def finish(report: Report) -> None:
    """Figures that the report names even when their act was refused."""
    for name in ("automatic_rollback_seconds", "canary_promoted", "canary_aborted", "archived", "restored"):
        report.figures.setdefault(name, None)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A bad model, its automatic rollback, two canaries, the archive, dead letters, a table that is dropped and comes
    back, and faces that learn from doors; needs a stack with a model.
    """
    stack = load(default_root())
    if stack is None or not Supervision(stack).running():
        raise StackError("the stack is down: `make demo` starts it and trains a first model")
    demand_complete(stack)
    os.environ.update({**environment(stack), **_PATIENCE})
    stage, pipeline = Stage(stack, "After a model is live", console), Pipeline.from_env()
    drill = Drill(stage, pipeline, Tasks(stage, pipeline.accumulate))
    report = drill.run()
    # Not while requests are counted: no replica answers for a while.
    stage.attempt(Alarms(stage, pipeline).play)

    def faces() -> None:
        drill_faces(stage, console)

    stage.attempt(faces)
    sys.exit(publish(report, stack.root / "drill-report.json", console))


if __name__ == "__main__":
    with refusals_as_sentences("drill", console):
        main()
