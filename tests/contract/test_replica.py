"""The fake replica, and faceserve's own lifecycle, through the same random calls: they answer alike."""

import hashlib
import json
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from faceserve.errors import BadArtifact, ServingError
from faceserve.models.generation import Origin as RealOrigin
from faceserve.protocols.replica_status import trial_status
from faceserve.rollout.orders import Order
from pipeline.domain.models import Artifact
from tests.fakes.data import FakeObjects
from tests.fakes.replica import FakeReplica, Origin, Refused, is_whole
from tests.unit.faceserve.rollout.world import MODEL, FakeLoader, Replica


class Shelf(FakeLoader):
    """Loads what `objects` has, without an engine."""

    def __init__(self, objects):
        super().__init__()
        self.objects = objects

    def load(self, model, origin, go_on=lambda: None):
        artifact = Artifact(origin.artifact_uri, origin.manifest_sha256)
        if not is_whole(self.objects.bodies, artifact.uri, artifact):
            raise BadArtifact(f"{origin.version} lacks files")
        return super().load(model, origin, go_on)


class Real:
    def __init__(self, folder, objects):
        self.replica = Replica(folder, Shelf(objects))

    @property
    def manager(self):
        return self.replica.manager

    def prepare(self, version, artifact):
        return self.manager.prepare(MODEL, RealOrigin(version, artifact.uri, artifact.manifest_sha256)).epoch

    def activate(self, version, epoch, at):
        self.manager.activate(MODEL, version, Order(expected_epoch=epoch))

    def discard(self, version):
        self.manager.discard(MODEL, version)

    def set_canary(self, version):
        self.manager.set_canary(MODEL, version, 10, shadow=False)

    def abort_canary(self, version, reason):
        self.manager.abort_canary(MODEL, version, reason)

    def restart(self, champion):
        named = None
        if champion is not None:
            artifact = champion.artifact
            named = RealOrigin(champion.version, artifact.uri, artifact.manifest_sha256, champion.activated_at)
        self.replica = self.replica.restarted(named)

    def says(self):
        now = self.manager.snapshot(MODEL)
        trial = trial_status(now)
        return (
            *(one.version if one else None for one in (now.active, now.previous)),
            now.epoch,
            sorted(one.version for one in now.prepared),
            (trial.version, trial.verdict, trial.reason if trial.verdict == "aborted" else "")
            if trial
            else (None, "", ""),
        )


def said_by_fake(fake):
    status, seen = fake.status(), fake.seen()
    trial = (seen.version, seen.verdict, seen.reason if seen.verdict == "aborted" else "")
    return (status.version, status.previous, status.epoch, sorted(fake.prepared), trial)


versions = st.sampled_from(["v1.0.0", "v1.1.0", "v1.2.0"])
calls = st.one_of(
    st.tuples(st.sampled_from(["serve", "try", "try"]), versions),
    st.tuples(st.just("abort_canary"), versions),
    st.tuples(st.sampled_from(["prepare", "discard", "set_canary", "abort_canary", "lose"]), versions),
    st.tuples(st.just("activate"), versions, st.sampled_from([-1, 0, 1, 2, 3])),
    st.tuples(st.just("restart"), st.none() | versions, st.booleans()),
    st.tuples(st.just("prepare other files"), versions),
)

TRY, RESTART = ("try", "v1.1.0"), ("restart", None, False)
SERVING = (("serve", "v1.2.0"), ("serve", "v1.0.0"))


def manifest(version):
    return json.dumps({"version": version, "files": {}}).encode()


def artifact(version, sha256=None):
    return Artifact(f"s3://models/{version}/", sha256 or hashlib.sha256(manifest(version)).hexdigest())


def answer(act):
    try:
        return act()
    except Refused as refusal:
        return refusal.code
    except ServingError as refusal:
        return refusal.status


def asked(replica, call, *of):
    """What the call answers, of either of the two."""
    version = of[0]
    if call == "serve":
        replica.prepare(version, artifact(version))
        return replica.activate(version, -1, time.time())
    if call == "try":
        replica.prepare(version, artifact(version))
        return replica.set_canary(version)
    if call == "prepare":
        return replica.prepare(version, artifact(version))
    if call == "prepare other files":
        return replica.prepare(version, artifact(version, "b" * 64))
    if call == "activate":
        return replica.activate(version, of[1], time.time())
    if call == "abort_canary":
        return replica.abort_canary(version, "as asked")
    if call == "restart":
        when = time.time() if of[1] else 1.0
        return replica.restart(Origin(version, artifact(version), when) if version else None)
    return getattr(replica, call)(version)


@settings(suppress_health_check=[HealthCheck.too_slow])
@example((*SERVING, TRY, RESTART, TRY, RESTART), [RESTART, TRY, RESTART])
@example((*SERVING, TRY, ("abort_canary", "v1.1.0")), [RESTART, TRY, RESTART, RESTART, TRY])
@given(st.sampled_from([(), SERVING, (*SERVING, TRY), (*SERVING, TRY, RESTART, TRY)]), st.lists(calls, max_size=8))
def test_the_fake_replica_answers_as_faceserve_does(begun, script):
    objects = FakeObjects()
    for version in ("v1.0.0", "v1.1.0", "v1.2.0"):
        objects.write(f"s3://models/{version}/manifest.json", manifest(version))
    fake = FakeReplica("replica-1", objects)
    with tempfile.TemporaryDirectory() as folder:
        real = Real(Path(folder), objects)
        for call, *of in (*begun, *script):
            if call == "lose":
                objects.delete(f"s3://models/{of[0]}/manifest.json")
                continue
            assert answer(lambda: asked(fake, call, *of)) == answer(lambda: asked(real, call, *of)), call  # noqa: B023
            assert said_by_fake(fake) == real.says(), call
