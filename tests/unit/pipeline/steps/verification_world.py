"""Forty photos, a candidate, a champion, and everything that judges them."""

import hashlib
import json

from pipeline.domain.blessing import WhenInconclusive
from pipeline.domain.checks import LoadTest
from pipeline.domain.comparison import ComparisonPolicy
from pipeline.domain.dataset import Manifest, Split
from pipeline.domain.models import Artifact, ModelType
from pipeline.domain.staleness import StalenessPolicy
from pipeline.domain.transitions import By
from pipeline.domain.verification import VerificationPolicy
from pipeline.ports.bundles import Verification
from pipeline.steps.answer_held import approve, refuse
from pipeline.steps.contest import Contest
from pipeline.steps.decide import decide
from pipeline.steps.measure_staleness import measure_staleness
from pipeline.steps.report_verdict import report_verdict
from pipeline.steps.verify_accuracy import verify_accuracy
from pipeline.steps.verify_performance import verify_performance
from tests.builders import a_dataset, a_model_version, a_performance, a_photo, a_training_result
from tests.fakes.data import FakeDatasets, FakeErasures, FakeObjects, FakePhotos
from tests.fakes.events import FakeClock, FakeOutbox
from tests.fakes.faults import Fault
from tests.fakes.training import FakeExperiments
from tests.fakes.verification import FakeBlessings, FakeChecks, FakePrinter, FakeTrialServer

LABELS = ("양호", "불량")
NO_FAULT = Fault()
CANDIDATE = Artifact("s3://models/LAUNDRY/run-1/", "a" * 64)
CHAMPION = a_model_version("v1.0.0")
# Twenty photos a split prove what thousands would in earnest.
POLICY = VerificationPolicy(min_support=5, comparison=ComparisonPolicy(min_holdout_photos=20, max_gain=0.5))


class World:
    """Forty photos; the candidate is right on all of them, the champion on half, unless told otherwise."""

    def __init__(self, *, candidate_wrong=0, champion=CHAMPION, policy=POLICY, **performance):
        splits = [Split.VALIDATION] * 20 + [Split.HOLDOUT] * 20
        # What the champion gets wrong is what people corrected.
        rows = tuple(self.photo(n, split=splits[n], label=LABELS[n % 2], corrected=bool(n % 2)) for n in range(40))
        self.manifest = Manifest("DS-2026-001", "LAUNDRY", LABELS, None, None, rows)
        self.photos = FakePhotos({r.photo_url: r.task_id.encode() for r in rows})
        truth = {r.task_id.encode(): r.label for r in rows}
        candidate = {body: LABELS[0] if i < candidate_wrong else label for i, (body, label) in enumerate(truth.items())}
        self.trials = FakeTrialServer(
            {"run-1": candidate, "v1.0.0": dict.fromkeys(truth, LABELS[0])}, {"run-1": [a_performance(**performance)]}
        )
        self.champion, self.policy, self.printer = champion, policy, FakePrinter()
        self.earlier = ()
        self.outbox, self.experiments = FakeOutbox(), FakeExperiments()
        self.erasures = FakeErasures(FakeDatasets())
        self.blessings = FakeBlessings(self.outbox)
        self.checks = FakeChecks(self.blessings)
        said = {body.decode(): label for body, label in candidate.items()}
        self.objects = FakeObjects({f"{CANDIDATE.uri}trainer-predictions.json": json.dumps(said).encode()})

    @staticmethod
    def photo(number, **changes):
        """Its bytes are its task's id."""
        return a_photo(number, sha256=hashlib.sha256(f"TASK-{number:05d}".encode()).hexdigest(), **changes)

    def verification(self, fault=NO_FAULT, when_inconclusive=WhenInconclusive.FLOORS):
        bundle = Verification(
            photos=self.photos,
            erasures=self.erasures,
            trials=self.trials,
            checks=self.checks,
            blessings=self.blessings,
            objects=self.objects,
            printer=self.printer,
            experiments=self.experiments,
            clock=FakeClock(),
            labels=LABELS,
            policy=self.policy,
            load_test=LoadTest(requests=100),
            when_inconclusive=when_inconclusive,
            code={"git_commit": "abc", "code_version": "def"},
        )
        return fault.on_ports(bundle, but=("photos", "printer", "clock"))

    @property
    def contest(self):
        return Contest("run-1", ModelType.LAUNDRY, CANDIDATE, self.champion, self.manifest, self.earlier)

    def measure_accuracy(self, fault=NO_FAULT):
        verify_accuracy(self.verification(fault), self.contest)
        measure_staleness(self.verification(fault), self.contest, StalenessPolicy())

    def verify(self, fault=NO_FAULT):
        self.measure_accuracy(fault)
        verify_performance(self.verification(fault), self.contest)

    def decide(self, fault=NO_FAULT, **how):
        bundle, result = self.verification(fault, **how), a_training_result("run-1", experiment_run_id="mlflow-1")
        blessing = decide(bundle, result, a_dataset())
        report_verdict(bundle, blessing, result, a_dataset())
        return blessing

    def judge(self, **how):
        self.verify()
        return self.decide(**how)

    def approve(self, *, actor="kim", reason="looked"):
        return approve("run-1", By(actor, reason, "approval"), blessings=self.blessings, clock=FakeClock())

    def refuse(self, *, actor="kim", reason="two photos are mislabelled"):
        return refuse("run-1", By(actor, reason, "refusal"), blessings=self.blessings, clock=FakeClock())
