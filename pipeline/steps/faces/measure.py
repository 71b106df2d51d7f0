"""Ask candidate and champion about people that neither may have learned from."""

from pipeline.domain.faces.identities import Side
from pipeline.domain.faces.measured import FaceMeasurement
from pipeline.domain.models import ModelType
from pipeline.ports.faces import FaceMaking, NamedHead
from pipeline.steps.faces.collect import vectors_of
from pipeline.steps.faces.embed import vectors_by
from pipeline.steps.faces.learn import Candidate
from pipeline.steps.look_up import champion


def measured(making: FaceMaking, candidate: Candidate) -> FaceMeasurement:
    """The same people and photos for both, each at its own threshold.

    A champion of another base network is asked by what that said of the photos, as far as it is kept: its head would
    make nonsense of this network's vectors.
    """
    beside, dataset = _champion(making, candidate), candidate.dataset
    return making.learner.measure(candidate.head, beside, dataset, vectors_of(making, dataset), making.gate)


def _champion(making: FaceMaking, candidate: Candidate) -> NamedHead | None:
    r = making.registration
    serving = champion(ModelType.FACE, r.transitions, r.versions)
    if serving is None:
        return None
    head = making.artifacts.head(serving.artifact)
    judging = candidate.dataset.photos[Side.TEST]
    own = None if head.base_sha256 == making.network.sha256 else vectors_by(making, head.base_sha256, judging)
    return NamedHead(serving.version, head, own)
