"""A face network whose photos say what it sees, and artifacts that are kept as they are."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from pipeline.domain.checksums import demand_unaltered, sha256
from pipeline.domain.errors import ModelRefused
from pipeline.domain.faces.confirmations import DIFFERENT, SAME, FaceConfirmation
from pipeline.domain.faces.identities import ConfirmedCheck
from pipeline.domain.faces.live import FaceTally
from pipeline.domain.faces.looks import FaceLook
from pipeline.domain.live_accuracy import Period
from pipeline.domain.models import Artifact, ModelType
from pipeline.domain.retraining import Backlog
from pipeline.ports.events import Stored
from pipeline.ports.faces import FaceHead, FaceNetwork
from tests.fakes.data import FakeDatasets, FakeObjects

WIDTH = 48


@dataclass
class FakeFaceNetwork:
    """A photo is `person:shot`: people differ in all directions, photos of one person mostly in a few.

    What follows `~` is not seen, as of a picture that was saved again, unless such pictures are `alike_by_chance`.
    """

    name: str = "Face"
    sha256: str = "b" * 64
    noise: float = 2.0
    alike_by_chance: bool = False
    embedded: list[bytes] = field(default_factory=list)

    def embed(self, photos: Sequence[bytes]) -> Sequence[bytes]:
        self.embedded += photos
        return [self._vector(photo).astype("<f4").tobytes() for photo in photos]

    def _vector(self, photo: bytes) -> np.ndarray:
        picture, _, again = photo.decode().partition("~")
        person, shot = (f"{picture}{again}" if self.alike_by_chance else picture).split(":")
        light = np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, 8)))[0].T
        look, seen = _chance(person), _chance(f"{person}:{shot}")
        return look.normal(size=WIDTH) + self.noise * seen.normal(size=8) @ light + 0.4 * seen.normal(size=WIDTH)


def _chance(text: str) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))


@dataclass
class FakeFaceArtifacts:
    objects: FakeObjects
    network: FaceNetwork

    def write(self, head: FaceHead, run_id: str, dataset_id: str) -> Artifact:
        self.objects.write(self._uri(run_id) + "head.npz", head.matrix)
        said = {"head": sha256(head.matrix), "threshold": head.threshold, "way": head.way, "score": head.score}
        said |= {"base": self.network.sha256, "among": list(head.identification)}
        self.objects.write(self._uri(run_id) + "manifest.json", json.dumps(said).encode())
        found = self.of_run(run_id)
        assert found is not None
        return found

    def of_run(self, run_id: str) -> Artifact | None:
        body = self.objects.bodies.get(self._uri(run_id) + "manifest.json")
        return Artifact(self._uri(run_id), sha256(body)) if body else None

    def head(self, artifact: Artifact) -> FaceHead:
        said = json.loads(self._unaltered(artifact.uri + "manifest.json", artifact.manifest_sha256))
        matrix = self._unaltered(artifact.uri + "head.npz", said["head"])
        among = tuple((people, threshold) for people, threshold in said["among"])
        return FaceHead(matrix, said["threshold"], said["way"], said["score"], said["base"], among)

    def _unaltered(self, uri: str, recorded: str) -> bytes:
        if uri not in self.objects.bodies:
            raise ModelRefused(f"{uri} is gone")
        return demand_unaltered(self.objects.bodies[uri], recorded, uri, ModelRefused)

    def _uri(self, run_id: str) -> str:
        return f"s3://models/FACE/{run_id}/"


@dataclass
class FakeFaceChecks:
    said: list[ConfirmedCheck] = field(default_factory=list)

    def confirmed(self, *, per_person: int, limit: int) -> Sequence[ConfirmedCheck]:
        found: list[ConfirmedCheck] = []
        for check in sorted(self.said, key=lambda one: (one.confirmed_at, one.check_id), reverse=True):
            of_one = [one for one in found if (one.identity, one.same) == (check.identity, check.same)]
            found += [check] if len(of_one) < per_person else []
        return found[:limit]


@dataclass
class FakeFaceConfirmations:
    """Who was erased, `datasets` know. Every correction waits: no dataset has consumed any."""

    datasets: FakeDatasets = field(default_factory=FakeDatasets)
    stored: dict[str, FaceConfirmation] = field(default_factory=dict)
    refuses: dict[str, Exception] = field(default_factory=dict)

    def store(self, said: Sequence[FaceConfirmation]) -> Stored:
        for one in said:
            if one.check_id in self.refuses:
                raise self.refuses[one.check_id]
        before = len(self.stored)
        for one in said:
            if not any(person in self.datasets.erased for person in one.people):
                gone = one.check_id in self.datasets.erased
                self.stored.setdefault(one.key, _without_photo(one) if gone else one)
        new = len(self.stored) - before
        return Stored(new, len(said) - new)

    def backlog(self, model_type: ModelType, champion: str | None) -> Backlog:
        wrong = [one for one in self._last() if one.ai_result != one.final_result or (one.shown and not one.claimed)]
        people = {one.person if one.claimed else one.shown or one.person for one in wrong}
        return Backlog(len(wrong), len(wrong), None, people=len(people))

    def tallies(self, since: datetime, until: datetime) -> Sequence[FaceTally]:
        last = [one for one in self._last() if since < one.confirmed_at <= until]
        return [self._tally(*of, [o for o in last if o.model_version == of[0]]) for of in sorted(_of(last))]

    def _last(self) -> Sequence[FaceConfirmation]:
        """Of each check the last word."""
        said = sorted(self.stored.values(), key=lambda one: (one.confirmed_at, one.key))
        return list({one.check_id: one for one in said}.values())

    def newest(self, version: str, since: datetime, until: datetime) -> datetime | None:
        given = [one.confirmed_at for one in self.stored.values() if one.model_version == version]
        return max((at for at in given if since < at <= until), default=None)

    def forget(self, person: str) -> int:
        gone = [key for key, one in self.stored.items() if person in one.people]
        for key in gone:
            del self.stored[key]
        return len(gone)

    @staticmethod
    def _tally(version: str, person: str, said: Sequence[FaceConfirmation]) -> FaceTally:
        about = [one for one in said if one.person == person]
        instead = [one.ai_result for one in said if one.shown == person and not one.claimed]
        genuine = [one.ai_result for one in about if one.final_result == SAME and one.claimed]
        accepted = [one.final_result for one in about if one.ai_result == SAME]
        sought = [one.ai_result for one in about if one.final_result == SAME and not one.claimed] + instead
        return FaceTally(
            version,
            person,
            genuine=len(genuine),
            refused=genuine.count(DIFFERENT),
            accepted=len(accepted),
            wrong=accepted.count(DIFFERENT),
            sought=len(sought),
            unnamed=sought.count(DIFFERENT),
            misnamed=instead.count(SAME),
        )


def _without_photo(said: FaceConfirmation) -> FaceConfirmation:
    return replace(said, photo_url="", correction_reason=None, extra={})


def _of(said: Sequence[FaceConfirmation]) -> set[tuple[str, str]]:
    found = {(one.model_version, one.person) for one in said}
    return found | {(one.model_version, one.shown) for one in said if one.shown and not one.claimed}


@dataclass
class FakeFaceLooks:
    looks: list[FaceLook] = field(default_factory=list)

    def record(self, look: FaceLook) -> None:
        self.looks.append(look)

    def last(self) -> FaceLook | None:
        return max(self.looks, key=lambda look: look.at, default=None)

    def within(self, period: Period, *, most: int) -> Sequence[FaceLook]:
        span = (period.until - period.since) / most
        found = sorted((look for look in self.looks if period.since < look.at <= period.until), key=lambda one: one.at)
        return list({(look.at - period.since) // span: look for look in found}.values())

    def forget(self, *, before: datetime, dry_run: bool) -> int:
        kept = [look for look in self.looks if look.at >= before]
        gone = len(self.looks) - len(kept)
        if not dry_run:
            self.looks = kept
        return gone
