"""Face models as far as they are built: made by hand of photos of people, put live and taken back like any other."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from functools import cached_property
from typing import Any

from pipeline.bootstrap import answers
from pipeline.bootstrap.live import LiveSteps
from pipeline.bootstrap.live_answers import of_rates
from pipeline.domain.faces.dataset import FaceDataset, person_key
from pipeline.domain.faces.identities import Side
from pipeline.domain.transitions import By
from pipeline.ports.face_forgetting import FaceForgetting
from pipeline.ports.faces import FaceMaking
from pipeline.steps.faces.collect import collect_faces
from pipeline.steps.faces.erase_person import erase_person
from pipeline.steps.faces.judge import judge
from pipeline.steps.faces.learn import Candidate, learn
from pipeline.steps.faces.look_at_rates import look_at_rates
from pipeline.steps.faces.register import register


class FacePipeline(LiveSteps):
    """`run_id` names one making and keys everything that it writes; each step may run twice."""

    def collect(self, run_id: str, place: str, on_photo: Callable[[int, int], None]) -> FaceDataset:
        """`place` is a folder of this machine or an `s3://…` prefix, with a folder for each person."""
        from pipeline.adapters.photo_folders import photo_folder

        folder = photo_folder(place, self._w.objects, self._w.photos_of(place))
        return collect_faces(self._making, folder, run_id, on_photo)

    def learn(self, run_id: str, dataset: FaceDataset) -> Candidate:
        return learn(self._making, run_id, dataset)

    def judge(self, candidate: Candidate) -> dict[str, Any]:
        """The verdict, kept for ever, and where its report is."""
        blessing = judge(self._making, candidate)
        return answers.of_verdict(blessing, self._w.objects.link(blessing.report_uri))

    def register(self, candidate: Candidate) -> str:
        """The version's number."""
        return register(self._making, candidate).version

    def erase_person(self, name: str, *, actor: str, reason: str) -> dict[str, Any]:
        """Forget a person's face everywhere; what was touched, and what is left to people."""
        w = self._w
        forgetting = FaceForgetting(
            w.datasets,
            w.erasures,
            w.face_confirmations,
            w.objects,
            w.versions,
            w.fleet,
            w.clock,
            w.dataset_prefix,
        )
        return asdict(erase_person(forgetting, name, By(actor, reason, f"erase-{person_key(name)}")))

    def rates(self, days: float) -> list[dict[str, Any]]:
        """Of each version the two live rates, with intervals of 95 %, over the confirmations of so many days."""
        w = self._w
        return [of_rates(one) for one in look_at_rates(w.face_confirmations, w.clock, timedelta(days=days))]

    @staticmethod
    def counts(dataset: FaceDataset) -> dict[str, Any]:
        """People on each side, and photos that nothing was learned from."""
        people = {side: dataset.people(side) for side in Side}
        return {"dataset_id": dataset.dataset_id, "people": people, "set_aside": len(dataset.set_aside)}

    @cached_property
    def _making(self) -> FaceMaking:
        from pipeline.learning.export import Destination
        from pipeline.learning.faces.artifact import StoredFaceArtifacts
        from pipeline.learning.faces.learner import MarginFaceLearner
        from pipeline.learning.faces.network import KerasFaceNetwork
        from pipeline.learning.photos import PillowPhotoInspector

        w, network = self._w, KerasFaceNetwork()
        return FaceMaking(
            datasets=w.datasets,
            erasures=w.erasures,
            objects=w.objects,
            inspector=PillowPhotoInspector(),
            network=network,
            learner=MarginFaceLearner(),
            artifacts=StoredFaceArtifacts(network, Destination(w.objects, w.model_prefix, w.settings.signing_key)),
            registration=self._live.registration,
            clock=w.clock,
            selection=w.settings.face_selection,
            gate=w.settings.face_gate,
            dataset_prefix=w.dataset_prefix,
        )
