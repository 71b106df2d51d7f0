"""Face models: made of photos of people and of what is confirmed at doors, put live and taken back like any other."""

from dataclasses import asdict, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from pipeline.bootstrap import answers
from pipeline.bootstrap.live_answers import of_rates
from pipeline.bootstrap.runs import RunSteps
from pipeline.bootstrap.traced import traced_faces
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.faces.dataset import FaceDataset, person_key
from pipeline.domain.faces.identities import Side
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By
from pipeline.ports.bundles import Scheduling
from pipeline.ports.face_forgetting import FaceForgetting
from pipeline.ports.faces import Doors, FaceMaking
from pipeline.steps.faces.collect import OnPhoto, collected
from pipeline.steps.faces.collect_confirmed import collect_confirmed
from pipeline.steps.faces.collect_folder import collect_folder
from pipeline.steps.faces.erase_person import erase_person
from pipeline.steps.faces.judge import judge
from pipeline.steps.faces.learn import Candidate, learn
from pipeline.steps.faces.look_at_rates import look_at_rates
from pipeline.steps.faces.register import register
from pipeline.steps.faces.tell_verdict import page_of


def _nobody(_done: int, _of: int) -> None:
    """Nobody hears how far it is."""


@traced_faces
class FacePipeline(RunSteps):
    """`run_id` names one making and keys everything that it writes; each step may run twice."""

    # Making

    def collect_folder(self, run_id: str, place: str, on_photo: OnPhoto = _nobody) -> dict[str, Any]:
        """`place` is a folder of this machine or an `s3://…` prefix, with a folder for each person. What was chosen."""
        from pipeline.adapters.photo_folders import photo_folder

        folder = photo_folder(place, self._w.objects, self._w.photos_of(place))
        return _counts(collect_folder(self._making, folder, run_id, on_photo))

    def collect(self, run_id: str, on_photo: OnPhoto = _nobody) -> dict[str, Any]:
        """What people confirmed at doors, beside what the champion has learned from. What was chosen, and where."""
        from pipeline.adapters.patient_objects import PatientPhotoStore

        doors = Doors(self._w.face_checks, PatientPhotoStore(self._w.photos))
        counts = _counts(collect_confirmed(self._making, doors, run_id, on_photo))
        return {**counts, "uri": DatasetFolder.of(self._w.dataset_prefix, counts["dataset_id"]).uri}

    def set_aside(self, run_id: str) -> list[str]:
        """Photos that nothing is learned from, by person and name, and why."""
        return [f"{one.name}: {one.reason}" for one in collected(self._making, run_id).set_aside]

    def learn(self, run_id: str) -> dict[str, Any]:
        """Learn a head and a threshold of what the run collected."""
        head = self._candidate(run_id).head
        return {"head": head.way, "threshold": head.threshold}

    def judge(self, run_id: str) -> dict[str, Any]:
        """The verdict, kept for ever, and where its report is."""
        blessing = judge(self._making, self._candidate(run_id))
        return answers.of_verdict(blessing, self._w.objects.link(page_of(blessing)))

    def register(self, run_id: str) -> str:
        """The version's number."""
        return register(self._making, self._candidate(run_id)).version

    def _candidate(self, run_id: str) -> Candidate:
        """What was learned once is not learned again."""
        return learn(self._making, run_id, collected(self._making, run_id))

    def _scheduled(self, model_type: str) -> tuple[Scheduling, ModelType]:
        s = self._w.settings
        rules, said = s.face_retraining.rules(s.retraining.cheap), self._w.face_confirmations
        return replace(self._models.scheduling, confirmations=said, policy=rules), ModelType.FACE

    # People

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
        found = erase_person(forgetting, name, By(actor, reason, f"erase-{person_key(name)}"))
        found.left += self._left_elsewhere([name, *found.addresses])
        return asdict(found)

    def rates(self, days: float) -> list[dict[str, Any]]:
        """Of each version the two live rates, with intervals of 95 %, over the confirmations of so many days."""
        w = self._w
        return [of_rates(one) for one in look_at_rates(w.face_confirmations, w.clock, timedelta(days=days))]

    @cached_property
    def _making(self) -> FaceMaking:
        from pipeline.adapters.face_report import HtmlFaceReportPrinter
        from pipeline.learning.export import Destination
        from pipeline.learning.faces.artifact import StoredFaceArtifacts
        from pipeline.learning.faces.learner import MarginFaceLearner
        from pipeline.learning.faces.network import KerasFaceNetwork
        from pipeline.learning.faces.portraits import PortraitInspector

        w, network = self._w, KerasFaceNetwork()
        return FaceMaking(
            datasets=w.datasets,
            erasures=w.erasures,
            objects=w.objects,
            inspector=PortraitInspector(),
            network=network,
            learner=MarginFaceLearner(),
            artifacts=StoredFaceArtifacts(network, Destination(w.objects, w.model_prefix, w.settings.signing_key)),
            registration=self._live.registration,
            clock=w.clock,
            selection=w.settings.face_selection,
            gate=w.settings.face_gate,
            printer=HtmlFaceReportPrinter(),
            max_unusable_share=w.settings.quality.max_unusable_share,
            dataset_prefix=w.dataset_prefix,
        )


def _counts(dataset: FaceDataset) -> dict[str, Any]:
    """People on each side, corrections among their photos, and photos that nothing was learned from."""
    return {
        "dataset_id": dataset.dataset_id,
        "people": {str(side): dataset.people(side) for side in Side},
        "photos": sum(len(of_side) for of_side in dataset.photos.values()),
        "corrections": sum(photo.corrects for of_side in dataset.photos.values() for photo in of_side),
        "set_aside": len(dataset.set_aside),
    }
