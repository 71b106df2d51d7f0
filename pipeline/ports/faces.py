"""The network that turns faces into vectors, and what learns and judges on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.domain.faces.dataset import FaceDataset
from pipeline.domain.faces.gate import FaceGatePolicy, FaceMeasurement
from pipeline.domain.faces.identities import ConfirmedCheck, FaceSelectionPolicy
from pipeline.domain.models import Artifact
from pipeline.ports.bundles import Registration
from pipeline.ports.clock import Clock
from pipeline.ports.data import Datasets, Erasures, ObjectFolders, PhotoInspector, PhotoStore
from pipeline.ports.face_report import FaceReportPrinter


class FaceNetwork(Protocol):
    """The frozen part of the network. `name` is stored with every version, `sha256` with every vector."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    def embed(self, photos: Sequence[bytes]) -> Sequence[bytes]:
        """The vector of each photo, float32 little-endian, as the model server computes it. Every photo is readable."""


@dataclass(frozen=True)
class FaceHead:
    """The part that is retrained: `matrix` (in NumPy's `.npz`), and the cosine from which two photos count as one
    person.

    `way` says how it came about, `score` the TAR it had where that was looked for. `base_sha256` is the network whose
    vectors it turns, as its artifact says; empty before there is one. `identification` are the cosines among so many
    people (1:N); a head of before has none.
    """

    matrix: bytes
    threshold: float
    way: str = ""
    score: float = 0.0
    base_sha256: str = ""
    identification: Sequence[tuple[int, float]] = ()


Vectors = Mapping[str, bytes]
"""By photo id."""


@dataclass(frozen=True)
class NamedHead:
    """`own` is what another base network, whose vectors this head turns, said of photos, as far as it is kept; None
    where the network is the candidate's.
    """

    version: str
    head: FaceHead
    own: Vectors | None = None


class FaceChecks(Protocol):
    """Read-only view of the access service's checks, as of the Helper's tasks (DD-03)."""

    def confirmed(self, *, per_person: int, limit: int) -> Sequence[ConfirmedCheck]:
        """The newest `limit` that somebody confirmed, newest first; of one person no more than the newest `per_person`
        that show them, and as many that do not. Raises `ServiceUnavailable`.
        """


@dataclass(frozen=True)
class Doors:
    """What doors saw and people confirmed."""

    checks: FaceChecks
    photos: PhotoStore


class FaceLearner(Protocol):
    def learn(
        self, dataset: FaceDataset, vectors: Vectors, policy: FaceGatePolicy, serving: FaceHead | None
    ) -> FaceHead:
        """Learns from the people of the train side; those of the calibrate side decide when to stop, and the threshold.

        The head that is `serving` is kept, bit for bit, where nothing learned is better: then the threshold alone is
        new. Raises `TrainingFailed` when no threshold keeps the FAR that is wanted.
        """

    def measure(
        self,
        candidate: FaceHead,
        champion: NamedHead | None,
        dataset: FaceDataset,
        vectors: Vectors,
        policy: FaceGatePolicy,
    ) -> FaceMeasurement:
        """Measures on the people of the test side. The gallery is the newest photo of everybody in the dataset.

        A champion of another network is measured on those of their photos that both networks saw, and is
        `incomparable` where these are of too few people.
        """


class FaceArtifacts(Protocol):
    """Face models as servers take them."""

    def write(self, head: FaceHead, run_id: str, dataset_id: str) -> Artifact:
        """Network, head and threshold in one artifact, its manifest last; written already, it is left alone.

        Raises `TrainingFailed` when the exported model answers otherwise than it was learned.
        """

    def of_run(self, run_id: str) -> Artifact | None:
        """The artifact that the run wrote; None when it has not come so far."""

    def head(self, artifact: Artifact) -> FaceHead:
        """Raises `ModelRefused` when the artifact is gone, or is not what was registered."""


@dataclass(frozen=True)
class FaceMaking:
    """Everything between photos of people and a registered face model; datasets lie under `dataset_prefix` (`s3://…/`)."""

    datasets: Datasets
    erasures: Erasures
    objects: ObjectFolders
    inspector: PhotoInspector
    network: FaceNetwork
    learner: FaceLearner
    artifacts: FaceArtifacts
    registration: Registration
    clock: Clock
    selection: FaceSelectionPolicy
    gate: FaceGatePolicy
    printer: FaceReportPrinter
    max_unusable_share: float
    dataset_prefix: str
