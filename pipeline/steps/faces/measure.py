"""Ask candidate and champion about people that neither may have learned from."""

from pipeline.domain.faces.gate import FaceMeasurement
from pipeline.domain.models import ModelType
from pipeline.ports.faces import FaceMaking, NamedHead
from pipeline.steps.faces.collect import vectors_of
from pipeline.steps.faces.learn import Candidate
from pipeline.steps.look_up import champion


def measured(making: FaceMaking, candidate: Candidate) -> FaceMeasurement:
    """The same people and photos for both, each at its own threshold."""
    r = making.registration
    serving = champion(ModelType.FACE, r.transitions, r.versions)
    beside = NamedHead(serving.version, making.artifacts.head(serving.artifact)) if serving else None
    vectors = vectors_of(making, candidate.dataset)
    return making.learner.measure(candidate.head, beside, candidate.dataset, vectors, making.gate)
