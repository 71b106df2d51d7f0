"""A deployment with confirmations, an archive, and a clock they share."""

import hashlib
import json
from datetime import timedelta

from pipeline.domain.live_accuracy import LiveAccuracyPolicy
from pipeline.domain.models import Artifact, ModelType, on_trial
from pipeline.domain.retention import RetentionPolicy
from pipeline.domain.rollout import CanaryPolicy
from pipeline.steps.abort_canary import abort_canary
from pipeline.steps.judge_canary import judge_canary
from pipeline.steps.promote_canary import promote_canary
from pipeline.steps.restore import restore
from pipeline.steps.retire import retire
from pipeline.steps.start_canary import start_canary
from pipeline.steps.watch import watch
from tests.builders import an_event
from tests.fakes.data import FakeObjects
from tests.fakes.events import FakeClock, FakeConfirmations, FakeRetrainingRuns
from tests.fakes.faults import Fault
from tests.fakes.live import FakeArchive, FakeLiveMetrics, FakeReadings
from tests.unit.pipeline.steps import test_deployment_steps as deployment

LAUNDRY = ModelType.LAUNDRY


class World(deployment.World):
    """Everything of a deployment, and a clock that confirmations and steps share."""

    def __init__(self):
        super().__init__()
        self.clock = FakeClock()
        self.confirmations, self.readings = FakeConfirmations(), FakeReadings(self.outbox)
        self.metrics = FakeLiveMetrics(self.confirmations, self.transitions)
        self.objects, self.archive, self.runs = FakeObjects(), FakeArchive(), FakeRetrainingRuns()

    def _deployment(self, fault):
        return {**super()._deployment(fault), "clock": self.clock}

    def live(self, *runs):
        """Versions of `runs`, each live in turn."""
        for number, run in enumerate(runs):
            self.accept(run, against=self.champion())
            self.register(run)
            self.hot_swap(f"v1.{number}.0")
        return self

    def candidate(self, run):
        self.accept(run, against=self.champion())
        return self.register(run)

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

    def watch(self, fault=None):
        fault = fault or Fault()
        return watch(
            LAUNDRY,
            policy=LiveAccuracyPolicy(matured_minutes=0),
            transitions=fault.on(self.transitions),
            versions=self.versions,
            metrics=fault.on(self.metrics),
            readings=fault.on(self.readings),
            clock=self.clock,
        )

    def automatic(self):
        """What the monitor does when the decision says so."""
        seen = self.watch()
        assert seen.decision.act, seen.decision.reason
        return self.roll_back(seen.decision.target, request=f"of-{seen.reading.version}", judged=seen.reading.version)

    def start(self, version, request="run-1", fault=None):
        ports = {k: v for k, v in self._deployment(fault).items() if k != "registry"}
        return start_canary(
            LAUNDRY,
            version,
            request_id=request,
            percent=10,
            actor="kim",
            reason="test",
            blessings=self.blessings,
            **ports,
        )

    def judge(self, version, **policy):
        return judge_canary(
            LAUNDRY,
            version,
            policy=CanaryPolicy(**policy),
            versions=self.versions,
            transitions=self.transitions,
            metrics=self.metrics,
            fleet=self.fleet,
            clock=self.clock,
        )

    def promote(self, version, fault=None):
        outbox = (fault or Fault()).on(self.outbox)
        return promote_canary(
            LAUNDRY,
            version,
            actor="kim",
            reason="test",
            blessings=self.blessings,
            outbox=outbox,
            **self._deployment(fault),
        )

    def abort(self, version, fault=None):
        ports = self._deployment(fault)
        return abort_canary(
            LAUNDRY,
            version,
            actor="kim",
            reason="too strict",
            transitions=ports["transitions"],
            fleet=ports["fleet"],
            clock=self.clock,
        )

    def trial(self):
        found = on_trial(self.transitions.facts(LAUNDRY))
        return found.to_version if found else None

    def put_files(self, version):
        """A real artifact of two files for a registered version."""
        uri, files = f"s3://models/LAUNDRY/{version}/", {"model.bin": version.encode(), "golden.npz": b"golden"}
        sums = {path: hashlib.sha256(body).hexdigest() for path, body in files.items()}
        manifest = json.dumps({"files": sums}).encode()
        for path, body in {**files, "manifest.json": manifest, "verification-report.json": b"{}"}.items():
            self.objects.write(uri + path, body)
        row = self.versions.rows[LAUNDRY, version]
        artifact = Artifact(uri, hashlib.sha256(manifest).hexdigest())
        self.versions.rows[LAUNDRY, version] = type(row)(**{**vars(row), "artifact": artifact})

    def retire(self, keep=1, dry_run=False, fault=None):
        fault = fault or Fault()
        return retire(
            LAUNDRY,
            policy=RetentionPolicy(keep),
            dry_run=dry_run,
            archive_prefix="s3://models/archive/",
            actor="kim",
            versions=self.versions,
            transitions=fault.on(self.transitions),
            runs=self.runs,
            fleet=fault.on(self.fleet),
            objects=fault.on(self.objects),
            archive=fault.on(self.archive),
            clock=self.clock,
        )

    def restore(self, version, fault=None):
        fault = fault or Fault()
        return restore(
            LAUNDRY,
            version,
            archive_prefix="s3://models/archive/",
            actor="kim",
            versions=self.versions,
            transitions=fault.on(self.transitions),
            objects=fault.on(self.objects),
            archive=fault.on(self.archive),
            clock=self.clock,
        )
