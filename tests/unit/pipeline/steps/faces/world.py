"""People in folders, the steps from there to a version that serves, and everything around them."""

from dataclasses import replace

import numpy as np

from pipeline.adapters.face_report import HtmlFaceReportPrinter
from pipeline.adapters.verification_report import HtmlReportPrinter
from pipeline.domain.faces.gate import FaceGatePolicy
from pipeline.domain.faces.identities import FaceSelectionPolicy, Side
from pipeline.domain.models import ModelType
from pipeline.domain.quality import QualityPolicy
from pipeline.domain.transitions import By
from pipeline.learning.faces.head import whitening
from pipeline.learning.faces.learner import MarginFaceLearner, bytes_of, faces_of
from pipeline.learning.faces.measuring import threshold_of, thresholds_of
from pipeline.ports.bundles import Forgetting
from pipeline.ports.face_forgetting import FaceForgetting
from pipeline.ports.faces import Doors, FaceHead, FaceMaking
from pipeline.steps.answer_held import approve
from pipeline.steps.erase_photo import erase_photo
from pipeline.steps.faces.collect_confirmed import collect_confirmed
from pipeline.steps.faces.collect_folder import collect_folder
from pipeline.steps.faces.erase_person import erase_person
from pipeline.steps.faces.judge import judge
from pipeline.steps.faces.learn import learn
from pipeline.steps.faces.register import register
from pipeline.steps.hot_swap import hot_swap
from tests.builders import a_check
from tests.fakes.data import FakeAugmenter, FakeDatasets, FakeErasures, FakeFolder, FakeInspector, FakePhotos
from tests.fakes.faces import FakeFaceArtifacts, FakeFaceChecks, FakeFaceConfirmations, FakeFaceNetwork
from tests.fakes.faults import Fault
from tests.fakes.training import FakeExperiments, FakeTrainingRuns
from tests.unit.pipeline.steps.live_world import World as LiveWorld

FACE = ModelType.FACE
PREFIX = "s3://datasets/"
GATE = FaceGatePolicy(min_people=20, far_of_few=0.02, min_dimensions=4)
TAGS = {"git_commit": "c0ffee", "code_version": "1"}


class QuickLearner(MarginFaceLearner):
    """What is learned in closed form, or a head that a test put ready."""

    def __init__(self):
        self.ready = None
        self.learned, self.keeps, self.before = 0, False, None

    def learn(self, dataset, vectors, policy, serving):
        self.learned, self.before = self.learned + 1, serving
        if self.keeps:
            return replace(serving, threshold=serving.threshold + 0.001)
        train, calibrate = (faces_of(dataset.photos[side], vectors) for side in (Side.TRAIN, Side.CALIBRATE))
        head = self.ready or whitening(train.base, np.unique(train.identities, return_inverse=True)[1])
        far = policy.target(dataset.people(Side.TEST))
        threshold = threshold_of(head, calibrate, far)
        among = thresholds_of(head, calibrate, policy, threshold, far)
        return FaceHead(bytes_of(head), threshold, "whitening", 0.9, identification=among)


class World(LiveWorld):
    """So many people with three photos each."""

    def __init__(self, people=200, noise=2.0):
        super().__init__()
        bodies = {f"p{n:03d}/{shot}.jpg": f"p{n:03d}:{shot}".encode() for n in range(people) for shot in range(3)}
        self.folder, self.datasets, self.heard = FakeFolder(bodies), FakeDatasets(), []
        self.network, self.learner = FakeFaceNetwork(noise=noise), QuickLearner()
        self.artifacts, self.erasures = FakeFaceArtifacts(self.objects, self.network), FakeErasures(self.datasets)
        self.confirmations_of_faces = FakeFaceConfirmations(self.datasets)
        self.doors, self.fleet.enrolled = Doors(FakeFaceChecks(), FakePhotos()), {"p000", "p001"}

    def making(self, fault=None):
        bundle = FaceMaking(
            datasets=self.datasets,
            erasures=self.erasures,
            objects=self.objects,
            inspector=FakeInspector(),
            network=self.network,
            learner=self.learner,
            artifacts=self.artifacts,
            registration=replace(self.registration(), tags=TAGS),
            clock=self.clock,
            selection=FaceSelectionPolicy(),
            gate=GATE,
            printer=HtmlFaceReportPrinter(),
            max_unusable_share=QualityPolicy.max_unusable_share,
            dataset_prefix=PREFIX,
        )
        return (fault or Fault()).on_ports(bundle, but=("registration", "clock", "printer"))

    def collect(self, run_id="run-1", fault=None):
        return collect_folder(self.making(fault), self.folder, run_id, lambda *heard: self.heard.append(heard))

    def say(self, identity, shot, **changes):
        """Somebody confirms a check of this person, whose photo is `shot`."""
        check = a_check(len(self.doors.checks.said), identity, **changes)
        self.doors.photos.bodies[check.photo_url] = f"{identity}:{shot}".encode()
        self.doors.checks.said.append(check)
        return check

    def collect_confirmed(self, run_id="run-2", fault=None):
        doors = fault.on_ports(self.doors) if fault else self.doors
        return collect_confirmed(self.making(fault), doors, run_id, lambda *heard: self.heard.append(heard))

    def make(self, run_id="run-1", fault=None, *, confirmed=False):
        """The verdict, and the version if it was accepted."""
        collect, making = self.collect_confirmed if confirmed else self.collect, self.making(fault)
        dataset = collect(run_id, fault)
        candidate = learn(making, run_id, dataset)
        blessing = judge(making, candidate)
        return blessing, register(making, candidate) if blessing.accepted else None

    def make_approved(self, run_id):
        """The version, which waited for a person."""
        blessing, _ = self.make(run_id)
        assert blessing.held, blessing.reasons
        by = By("kim", "looked at", f"approve-{run_id}")
        approve(run_id, by, blessings=self.registration().blessings, clock=self.clock)
        making = self.making()
        return register(making, learn(making, run_id, self.collect(run_id)))

    def serve(self, run_id="run-1"):
        _, version = self.make(run_id)
        hot_swap(self.deployment(), FACE, version.version, By("kim", "better", run_id))
        return version

    def forget(self, check_id, fault=None):
        """The photo of a check, as that of a task."""
        bundle = Forgetting(
            datasets=self.datasets,
            erasures=self.erasures,
            runs=FakeTrainingRuns(),
            versions=self.versions,
            experiments=FakeExperiments(),
            augmenter=FakeAugmenter(),
            photos=self.doors.photos,
            printer=HtmlReportPrinter(),
            objects=self.objects,
            clock=self.clock,
            dataset_prefix=PREFIX,
            model_prefix="s3://models/",
        )
        bundle = fault.on_ports(bundle, but=("clock", "printer", "augmenter")) if fault else bundle
        return erase_photo(bundle, check_id, By("kim", "asked by the customer", "erasure"))

    def erase(self, name, fault=None):
        f = FaceForgetting(
            self.datasets,
            self.erasures,
            self.confirmations_of_faces,
            self.objects,
            self.versions,
            self.fleet,
            self.clock,
            PREFIX,
        )
        bundle = fault.on_ports(f, but=("clock",)) if fault else f
        return erase_person(bundle, name, By("kim", "withdrew", "erase"))
