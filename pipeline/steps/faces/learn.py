"""Learn what turns the stored vectors into embeddings that tell people apart, and the threshold that goes with it."""

from dataclasses import dataclass

from pipeline.domain.errors import GiveUp
from pipeline.domain.faces.dataset import FaceDataset
from pipeline.domain.models import Artifact, ModelType
from pipeline.ports.faces import FaceHead, FaceMaking
from pipeline.steps.faces.collect import vectors_of
from pipeline.steps.look_up import champion


@dataclass(frozen=True)
class Candidate:
    """What a run learned; `backbone` and `dataset_id` decide its number."""

    run_id: str
    dataset: FaceDataset
    backbone: str
    artifact: Artifact
    head: FaceHead

    @property
    def dataset_id(self) -> str:
        return self.dataset.dataset_id


def learn(making: FaceMaking, run_id: str, dataset: FaceDataset) -> Candidate:
    """The run's candidate; what was learned once is not learned again.

    Raises `DatasetRefused`, `TrainingFailed`, and `GiveUp` where the dataset has another network's vectors.
    """
    artifact = making.artifacts.of_run(run_id)
    if artifact is None:
        _demand_vectors_of(making, run_id, dataset)
        dataset.demand_pairs()
        head = making.learner.learn(dataset, vectors_of(making, dataset), making.gate, serving_head(making))
        artifact = making.artifacts.write(head, run_id, dataset.dataset_id)
    return Candidate(run_id, dataset, making.network.name, artifact, making.artifacts.head(artifact))


def serving_head(making: FaceMaking) -> FaceHead | None:
    """The champion's head; None without a champion, and when its head belongs to another network's vectors. Networks
    are told apart by their weights, not by name.
    """
    r = making.registration
    serving = champion(ModelType.FACE, r.transitions, r.versions)
    head = making.artifacts.head(serving.artifact) if serving else None
    return head if head and head.base_sha256 == making.network.sha256 else None


def _demand_vectors_of(making: FaceMaking, run_id: str, dataset: FaceDataset) -> None:
    if dataset.base_sha256 != making.network.sha256:
        raise GiveUp(f"run {run_id} collected the vectors of another base network: begin another run")
