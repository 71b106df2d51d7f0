"""A month by simulated time: real intake, policy, monitor and exporter; trainings that leave what real ones leave."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from include.bench.photos import LABELS
from include.bench.scale.people import AFTER_THE_FALL, PROMISED, SLOT, Arrivals, Month, is_night
from include.bench.scale.timing import TimedDatabase, Times
from include.stack.postgres import query
from pipeline.adapters.blessing_table import BlessingTable
from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.decision_table import DecisionTable
from pipeline.adapters.face_confirmation_table import FaceConfirmationTable
from pipeline.adapters.live_metrics import LiveMetricsView
from pipeline.adapters.outbox_table import OutboxTable
from pipeline.adapters.reading_table import ReadingTable
from pipeline.adapters.retraining_run_table import RetrainingRunTable
from pipeline.adapters.total_tables import TotalTables
from pipeline.adapters.training_table import TrainingTable
from pipeline.adapters.transition_log import TransitionLog
from pipeline.adapters.trouble_table import TroubleTable
from pipeline.adapters.version_table import VersionTable
from pipeline.domain.blessing import Blessing
from pipeline.domain.checks import Check, CheckName, Outcome
from pipeline.domain.figures.production import Branches
from pipeline.domain.live_accuracy import LiveAccuracyPolicy
from pipeline.domain.models import Artifact, ModelType, ModelVersion
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.retraining import Asker, RetrainingPolicy, RunOutcome
from pipeline.domain.training import Hyperparameters, TrainingResult
from pipeline.domain.transitions import By, ChampionChange, Entry, Kind, Phase
from pipeline.ports.bundles import Monitoring, Scheduling, Watching
from pipeline.ports.intake import Intake
from pipeline.steps.accumulate import accumulate
from pipeline.steps.begin_run import Begun, begin_run
from pipeline.steps.tell_facts import tell_facts
from pipeline.steps.watch import watch

LAUNDRY = ModelType.LAUNDRY
INTAKE = "intake: half an hour"
_TRAINS_FOR = timedelta(hours=1.5)
LOOKS_EVERY = timedelta(hours=6)
_HOLDOUT_PHOTOS = 1000
_MINUTES_BETWEEN_LOOKS = 15
# Rows say when they arrived: by the time of the month, not by that of this machine.
_SIMULATED_TIME = """
    CREATE TABLE bench_clock AS SELECT now() AS at;
    GRANT SELECT, UPDATE ON bench_clock TO mlops;
    CREATE FUNCTION bench_now() RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT at FROM bench_clock $$;
    ALTER TABLE task_confirmations ALTER COLUMN received_at SET DEFAULT bench_now()"""
_DATASET = """
    INSERT INTO datasets (dataset_id, run_id, model_type, begun_at, corrections_through, completed_at)
    VALUES (%(id)s, %(run)s, 'LAUNDRY', %(at)s, %(at)s, %(at)s)"""


@dataclass
class Clock:
    at: datetime

    def now(self) -> datetime:
        return self.at


class Nowhere:
    def publish(self, event: OutgoingEvent) -> None:
        raise AssertionError(f"nobody publishes here: {event.type}")


@dataclass(frozen=True)
class Due:
    """A training that the policy began, and what came of it."""

    at: datetime
    begun: Begun
    outcome: RunOutcome


class Replay:
    """`month` by the records of `dsn`; `owner_dsn` may change their tables."""

    def __init__(self, month: Month, dsn: str, owner_dsn: str) -> None:
        query(owner_dsn, _SIMULATED_TIME)
        self.month, self.times, self.due = month, Times(), list[Due]()
        self._clock, self._arrivals = Clock(month.begins), Arrivals()
        self._learned: dict[str, datetime] = {}
        self._bundles(TimedDatabase(dsn, self.times))

    def _bundles(self, database: TimedDatabase) -> None:
        confirmations, clock, outbox = ConfirmationTable(database), self._clock, OutboxTable(database)
        runs, versions, blessings = RetrainingRunTable(database), VersionTable(database), BlessingTable(database)
        transitions, metrics, policy = TransitionLog(database), LiveMetricsView(database), RetrainingPolicy()
        decisions, live = DecisionTable(database), LiveAccuracyPolicy()
        self._database, self._results = database, TrainingTable(database)
        faces = FaceConfirmationTable(database)
        self._intake = Intake(self._arrivals, confirmations, faces, clock, frozenset({"tasks"}))
        self._scheduling = Scheduling(
            confirmations, metrics, decisions, runs, versions, blessings, transitions, outbox, Nowhere(), clock, policy
        )
        self._monitoring = Monitoring(transitions, metrics, ReadingTable(database), outbox, clock)
        troubles, totals, seconds = TroubleTable(database), TotalTables(database), _MINUTES_BETWEEN_LOOKS * 60
        self._branches = Branches()
        self._watching = Watching(
            versions, self._results, blessings, transitions, confirmations, runs, troubles, totals, live, policy,
            seconds, 10,
        )  # fmt: skip

    def half_hours(self) -> Iterator[datetime]:
        """Each when it has passed."""
        with self._database.held():
            before = self.month.begins - timedelta(days=3)
            self._promote("before", self._trained("before", before, RunOutcome.DEPLOYED), before)
            for end in self.month.ends_of_slots():
                self._passes(end)
                yield end

    def _passes(self, end: datetime) -> None:
        self._clock.at = end
        with self._database.transaction() as cursor:
            cursor.execute("UPDATE bench_clock SET at = %s", (end,))
        self._trainings_end(end)
        version = self._scheduling.transitions.ledger(LAUNDRY).champion or ""
        self._arrivals.bodies = self.month.bodies(end, version, self._wrong(version, end))
        if self._arrivals.bodies:
            with self.times.of(INTAKE):
                accumulate(self._intake, limit=len(self._arrivals.bodies))
        if self._arrivals.bodies or is_night(end):
            self._is_asked(end)
        if (end - self.month.begins) % LOOKS_EVERY < SLOT:
            self._is_looked_at()

    def _is_asked(self, end: datetime) -> None:
        with self.times.of("policy: a decision"):
            begun = begin_run(self._scheduling, f"run-{end:%m%d%H%M}", LAUNDRY, Asker("task_confirmed_intake"))
        if begun.due:
            self.due.append(Due(end, begun, self._to_come(end)))

    def _is_looked_at(self) -> None:
        with self.times.of("monitor: a look"):
            watch(self._monitoring, LAUNDRY, LiveAccuracyPolicy())
        with self.times.of("exporter: everything it tells"):
            list(tell_facts(self._watching, self._branches))

    def _wrong(self, version: str, now: datetime) -> float:
        knows = now <= self.month.falls_at or self._learned[version] > self.month.falls_at
        return PROMISED if knows else AFTER_THE_FALL

    # Trainings

    def _to_come(self, at: datetime) -> RunOutcome:
        """As good as before is proven every other time; what learned the new kinds is better."""
        better = at > self.month.falls_at or len(self.due) % 2
        return RunOutcome.DEPLOYED if better else RunOutcome.REFUSED

    def _trainings_end(self, now: datetime) -> None:
        claim = self._scheduling.runs.claim(LAUNDRY)
        if claim is None or now - claim.since < _TRAINS_FOR:
            return
        outcome = self.due[-1].outcome
        blessing = self._trained(claim.run_id, claim.since, outcome)
        if outcome is RunOutcome.DEPLOYED:
            self._promote(claim.run_id, blessing, now)
        self._scheduling.runs.end(claim.run_id, at=now, outcome=outcome)

    def _trained(self, run_id: str, at: datetime, outcome: RunOutcome) -> Blessing:
        with self._database.transaction() as cursor:
            cursor.execute(_DATASET, {"id": f"DS-{run_id}", "run": run_id, "at": at})
        self._results.succeed(_result(run_id, at))
        found = 1 - PROMISED
        reason = f"holdout_accuracy {found:g}, ≥ 0.88 needed (n={_HOLDOUT_PHOTOS})"
        check = Check(CheckName.HOLDOUT_ACCURACY, Outcome.PASSED, found, 0.88, _HOLDOUT_PHOTOS, reason)
        accepted = outcome is RunOutcome.DEPLOYED
        reasons = () if accepted else ("better_than_champion: no more right than it",)
        blessing = Blessing(
            id=f"blessing:{run_id}", run_id=run_id, model_type=LAUNDRY, accepted=accepted, reasons=reasons,
            checks=(check,), champion_version=None, first_model=False, artifact_manifest_sha256="a" * 64,
            dataset_sha256="d" * 64, thresholds_sha256="t" * 64, report_uri="", decided_at=at + _TRAINS_FOR,
        )  # fmt: skip
        self._scheduling.blessings.grant(blessing, None)
        return blessing

    def _promote(self, run_id: str, blessing: Blessing, now: datetime) -> None:
        ledger, result = self._scheduling.transitions.ledger(LAUNDRY), self._results.result(run_id)
        assert result is not None
        version = f"v1.{len(ledger.changes)}.0"
        artifact = Artifact(result.artifact_uri, result.manifest_sha256)
        self._scheduling.versions.register(
            ModelVersion(
                version, LAUNDRY, run_id, result.dataset_id, result.backbone, artifact, result.accuracy,
                result.val_accuracy, result.trained_at,
            )
        )  # fmt: skip
        by = By(run_id, "the benchmark", run_id)
        act = ChampionChange(f"act-{run_id}", LAUNDRY, version, by, now, Kind.PROMOTE, ledger.champion, blessing.id)
        served = Entry(Phase.SERVED, act, now)
        self._scheduling.transitions.append(ledger, served, replace(served, phase=Phase.MIRRORED))
        self._learned[version] = result.trained_at


def _result(run_id: str, at: datetime) -> TrainingResult:
    return TrainingResult(
        run_id=run_id, dataset_id=f"DS-{run_id}", backbone="ResNet50", artifact_uri=f"s3://models/{run_id}/",
        manifest_sha256="a" * 64, accuracy=0.96, val_accuracy=1 - PROMISED, loss=0.1, val_loss=0.1, f1_score=0.95,
        auc=0.98, confusion=tuple((90, 10)[:: 1 - 2 * n] for n in range(len(LABELS))), epochs_completed=30,
        training_seconds=300.0, trained_at=at, hyperparameters=Hyperparameters(),
    )  # fmt: skip
