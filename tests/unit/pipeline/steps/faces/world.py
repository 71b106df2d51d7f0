"""People in folders, the steps from there to a version that serves, and everything around them."""

from dataclasses import replace

import numpy as np

from pipeline.domain.faces.gate import FaceGatePolicy
from pipeline.domain.faces.identities import FaceSelectionPolicy, Side
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By
from pipeline.learning.faces.head import whitening
from pipeline.learning.faces.learner import MarginFaceLearner, bytes_of, faces_of
from pipeline.learning.faces.measuring import threshold_of
from pipeline.ports.face_forgetting import FaceForgetting
from pipeline.ports.faces import FaceHead, FaceMaking
from pipeline.steps.faces.collect import collect_faces
from pipeline.steps.faces.erase_person import erase_person
from pipeline.steps.faces.judge import judge
from pipeline.steps.faces.learn import learn
from pipeline.steps.faces.register import register
from pipeline.steps.hot_swap import hot_swap
from tests.fakes.data import FakeDatasets, FakeErasures, FakeFolder, FakeInspector
from tests.fakes.faces import FakeFaceArtifacts, FakeFaceConfirmations, FakeFaceNetwork
from tests.fakes.faults import Fault
from tests.unit.pipeline.steps.live_world import World as LiveWorld

FACE = ModelType.FACE
PREFIX = "s3://datasets/"
GATE = FaceGatePolicy(min_people=20, far_of_few=0.02, min_dimensions=4)
TAGS = {"git_commit": "c0ffee", "code_version": "1"}


class QuickLearner(MarginFaceLearner):
    """What is learned in closed form, or a head that a test put ready."""

    def __init__(self):
        self.ready = None
        self.learned = 0

    def learn(self, dataset, vectors, policy):
        self.learned += 1
        train, calibrate = (faces_of(dataset.photos[side], vectors) for side in (Side.TRAIN, Side.CALIBRATE))
        head = self.ready or whitening(train.base, np.unique(train.identities, return_inverse=True)[1])
        threshold = threshold_of(head, calibrate, policy.target(dataset.people(Side.TEST)))
        return FaceHead(bytes_of(head), threshold, "whitening", 0.9)


class World(LiveWorld):
    """So many people with three photos each."""

    def __init__(self, people=200, noise=2.0):
        super().__init__()
        bodies = {f"p{n:03d}/{shot}.jpg": f"p{n:03d}:{shot}".encode() for n in range(people) for shot in range(3)}
        self.folder, self.datasets, self.heard = FakeFolder(bodies), FakeDatasets(), []
        self.network, self.learner = FakeFaceNetwork(noise=noise), QuickLearner()
        self.artifacts, self.erasures = FakeFaceArtifacts(self.objects), FakeErasures(self.datasets)
        self.confirmations_of_faces = FakeFaceConfirmations(self.datasets)
        self.fleet.enrolled = {"p000", "p001"}

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
            dataset_prefix=PREFIX,
        )
        return (fault or Fault()).on_ports(bundle, but=("registration", "clock"))

    def collect(self, run_id="run-1", fault=None):
        return collect_faces(self.making(fault), self.folder, run_id, lambda *heard: self.heard.append(heard))

    def make(self, run_id="run-1", fault=None):
        """The verdict, and the version if it was accepted."""
        dataset, making = self.collect(run_id, fault), self.making(fault)
        candidate = learn(making, run_id, dataset)
        blessing = judge(making, candidate)
        return blessing, register(making, candidate) if blessing.accepted else None

    def serve(self, run_id="run-1"):
        _, version = self.make(run_id)
        hot_swap(self.deployment(), FACE, version.version, By("kim", "better", run_id))
        return version

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
