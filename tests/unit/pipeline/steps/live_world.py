"""Everything around the models of one type: versions and their log, a fleet, a registry, confirmations, an archive."""

import hashlib
import itertools
import json
from datetime import timedelta

from pipeline.domain.checks import Check, Outcome
from pipeline.domain.ledger import PREVIOUS, RollbackRequest
from pipeline.domain.live_accuracy import LiveAccuracyPolicy
from pipeline.domain.models import Artifact, ModelType, Status
from pipeline.domain.retention import RetentionPolicy
from pipeline.domain.rollout import CanaryPolicy
from pipeline.domain.transitions import Archive, By, Entry, Phase, TrialOf
from pipeline.domain.verification import VerificationPolicy
from pipeline.ports.bundles import Deployment, Keeping, Monitoring, Registration
from pipeline.steps.abort_canary import abort_canary
from pipeline.steps.clear_freeze import clear_freeze
from pipeline.steps.force_promote import force_promote
from pipeline.steps.hot_swap import hot_swap
from pipeline.steps.judge_canary import judge_canary
from pipeline.steps.promote_canary import promote_canary
from pipeline.steps.reconcile import reconcile
from pipeline.steps.register import register
from pipeline.steps.restore import restore
from pipeline.steps.retire import plan_retirement, retire
from pipeline.steps.roll_back import roll_back
from pipeline.steps.start_canary import start_canary
from pipeline.steps.watch import watch
from tests.builders import (
    MANIFEST,
    MANIFEST_SHA256,
    a_blessing,
    a_performance,
    a_training_result,
    a_validation,
    an_event,
)
from tests.fakes.data import FakeObjects
from tests.fakes.deployment import FakeRegistry, FakeTransitions, FakeVersions
from tests.fakes.events import FakeClock, FakeConfirmations, FakeOutbox, FakeRetrainingRuns
from tests.fakes.faults import Fault
from tests.fakes.fleet import FakeFleet
from tests.fakes.live import FakeArchive, FakeLiveMetrics, FakeReadings
from tests.fakes.training import FakeTrainingRuns
from tests.fakes.verification import FakeBlessings

LAUNDRY = ModelType.LAUNDRY
ARCHIVE = "s3://models/archive/"
TOO_WEAK = Check("holdout_accuracy", Outcome.FAILED, 0.7, 0.88, 200, "holdout_accuracy 0.7, ≥ 0.88 needed (n=200)")


def by(request, actor="kim", reason="test"):
    return By(actor, reason, request)


WATCHED = LiveAccuracyPolicy(matured_minutes=0)


class World:
    """One clock for all of it; `fault` strikes at the ports of the step that is given it."""

    def __init__(self, model_type=LAUNDRY):
        self.model_type = model_type
        self.clock, self.outbox, self.versions = FakeClock(), FakeOutbox(), FakeVersions()
        self.blessings = FakeBlessings(self.outbox)
        self.transitions = FakeTransitions(self.versions, self.outbox, self.blessings)
        self.fleet, self.registry = FakeFleet(clock=self.clock), FakeRegistry()
        self.objects, self.archive = FakeObjects(), FakeArchive()
        self.runs, self.trained = FakeRetrainingRuns(), FakeTrainingRuns()
        self.confirmations, self.readings = FakeConfirmations(), FakeReadings(self.outbox)
        self.metrics = FakeLiveMetrics(self.confirmations)
        self.sign = None
        self.commands = itertools.count(1)

    # Bundles

    def deployment(self, fault=None):
        bundle = Deployment(
            self.versions, self.blessings, self.transitions, self.fleet, self.registry, self.outbox, self.clock
        )
        return (fault or Fault()).on_ports(bundle, but=("clock",))

    def registration(self, fault=None):
        bundle = Registration(
            self.versions,
            self.transitions,
            self.trained,
            self.blessings,
            self.registry,
            self.objects,
            {"git_commit": "abc"},
        )
        return (fault or Fault()).on_ports(bundle, but=("blessings",))

    def keeping(self, fault=None):
        ports = (self.versions, self.transitions, self.fleet, self.runs, self.objects, self.archive, self.clock)
        bundle = Keeping(*ports, sign=self.sign)
        return (fault or Fault()).on_ports(bundle, but=("clock",))

    def monitoring(self, fault=None):
        bundle = Monitoring(self.transitions, self.metrics, self.readings, self.outbox, self.clock)
        return (fault or Fault()).on_ports(bundle, but=("clock",))

    # What is there

    def accept(self, run_id, *, against=None, accepted=True, manifest_sha256=MANIFEST_SHA256, **performance):
        """A trained run with its verdict and its load test."""
        self.objects.write(f"s3://models/LAUNDRY/{run_id}/manifest.json", MANIFEST)
        self.trained.succeed(a_training_result(run_id, dataset_id=f"dataset-of-{run_id}"))
        load = VerificationPolicy().judge_performance(a_performance(**performance))
        self.blessings.granted[run_id] = a_blessing(
            run_id,
            accepted=accepted,
            reasons=() if accepted else (TOO_WEAK.reason,),
            checks=(a_validation(), *(() if accepted else (TOO_WEAK,)), *load),
            champion_version=against,
            first_model=against is None,
            model_type=self.model_type,
            artifact_manifest_sha256=manifest_sha256,
        )

    def register(self, run_id, fault=None, dataset=None, **changes):
        result = a_training_result(run_id, dataset_id=dataset or f"dataset-of-{run_id}", **changes)
        self.trained.results[run_id] = result
        return register(self.registration(fault), self.model_type, result).version

    def candidate(self, run):
        self.accept(run, against=self.champion())
        return self.register(run)

    def live(self, *runs):
        """Versions of `runs`, each live in turn."""
        for run in runs:
            self.hot_swap(self.candidate(run), request=run)
        return self

    def put_files(self, version, more=0):
        """A real artifact of two files, and `more`, for a registered version."""
        uri, files = f"s3://models/LAUNDRY/{version}/", {"model.bin": version.encode(), "golden.npz": b"golden"}
        files |= {f"part-{n}.bin": str(n).encode() for n in range(more)}
        sums = {path: hashlib.sha256(body).hexdigest() for path, body in files.items()}
        manifest = json.dumps({"files": sums}).encode()
        for path, body in {**files, "manifest.json": manifest, "verification-report.json": b"{}"}.items():
            self.objects.write(uri + path, body)
        row = self.versions.rows[self.model_type, version]
        artifact = Artifact(uri, hashlib.sha256(manifest).hexdigest())
        self.versions.rows[self.model_type, version] = type(row)(**{**vars(row), "artifact": artifact})

    def archive_by_the_log(self, version):
        """As an earlier release could: it did not know that a rollback may need it."""
        act = Archive(
            f"archive:{self.model_type}:{version}:1", self.model_type, version, by("long ago"), self.clock.now()
        )
        self.transitions.append(self.ledger, Entry(Phase.NOTED, act, act.at))

    def later(self, **ago):
        self.clock.at += timedelta(**ago)

    def confirm(self, agreed, wrong, version=..., **changes):
        version = self.champion() if version is ... else version
        for n in range(agreed + wrong):
            key, right = f"event-{len(self.confirmations.stored)}", n < agreed
            self.confirmations.store(
                [
                    an_event(
                        key,
                        ai_result="양호" if right else "불량",
                        corrected=not right,
                        model_version=version,
                        confirmed_at=self.clock.now(),
                        **changes,
                    )
                ]
            )

    # Acts

    def hot_swap(self, version, fault=None, request=None):
        return hot_swap(
            self.deployment(fault), self.model_type, version, by(request or f"promotion of {version}", "DAG")
        )

    def force(self, wanted, *, actor="kim", reason="drill", request="forcing", fault=None):
        by_whom = By(actor, reason, request)
        return force_promote(self.deployment(fault), self.registration(fault), self.model_type, wanted, by_whom)

    def roll_back(self, target=PREVIOUS, request="request-1", fault=None, *, asked_at=None, judged=None):
        asked = RollbackRequest(target, asked_at or self.clock.now(), judged)
        actor = "live_accuracy_monitor" if judged else "kim"
        return roll_back(self.deployment(fault), self.model_type, asked, by(request, actor, "too strict"))

    def reconcile(self, fault=None):
        return reconcile(self.deployment(fault), self.model_type)

    def watch(self, fault=None, policy=WATCHED):
        return watch(self.monitoring(fault), self.model_type, policy)

    def automatic(self):
        """What the monitor does when the decision says so."""
        seen = self.watch()
        assert seen.decision.act, seen.decision.reason
        version = seen.reading.version
        return self.roll_back(seen.decision.target, request=f"of-{version}", judged=version)

    def clear_freeze(self, actor="kim", reason="wrong labels", meant=None, request=None):
        who = By(actor, reason, request or self._command())
        return clear_freeze(self.transitions, self.model_type, who, self.clock, meant)

    def start(self, version, request="run-1", fault=None):
        return start_canary(self.deployment(fault), self.model_type, version, 10, by(request))

    def judge(self, version, fault=None, begun_by=None, **policy):
        meant, policy = TrialOf(version, begun_by), CanaryPolicy(**policy)
        return judge_canary(self.deployment(fault), self.metrics, self.model_type, meant, policy)

    def promote(self, version, fault=None, request="run-1"):
        return promote_canary(self.deployment(fault), self.model_type, version, by(request))

    def abort(self, version, fault=None, request="abort", begun_by=None):
        meant = TrialOf(version, begun_by)
        return abort_canary(self.deployment(fault), self.model_type, meant, by(request, reason="too strict"))

    def plan_retirement(self, keep=1):
        return plan_retirement(self.keeping(), self.model_type, RetentionPolicy(keep))

    def retire(self, keep=1, fault=None, request=None):
        who = by(request or self._command())
        return retire(self.keeping(fault), self.model_type, RetentionPolicy(keep), who, ARCHIVE)

    def restore(self, version, fault=None, request=None):
        return restore(self.keeping(fault), self.model_type, version, by(request or self._command()), ARCHIVE)

    def _command(self):
        """A request of its own."""
        return f"command {next(self.commands)}"

    # What is so

    @property
    def ledger(self):
        return self.transitions.ledger(self.model_type)

    def champion(self):
        return self.ledger.champion

    def trial(self):
        return self.ledger.trial.version if self.ledger.trial else None

    def serving(self):
        return {s.replica: s.version for s in self.fleet.serving(self.model_type)}

    def demand_one_story(self, champion):
        """Log, replicas, `model_versions` and registry all say the same (invariant I4)."""
        assert self.champion() == champion
        assert set(self.serving().values()) == {champion}
        active = [v.version for v in self.versions.all(self.model_type) if v.status is Status.ACTIVE]
        assert active == [champion]
        assert self.registry.aliases[self.model_type]["champion"] == champion
        assert not self.ledger.unsettled
