"""Ask candidate and champion about people that neither may have learned from."""

from dataclasses import replace

from pipeline.domain.faces.measured import FaceMeasurement
from pipeline.domain.models import ModelType
from pipeline.ports.faces import FaceMaking, NamedHead
from pipeline.steps.faces.collect import vectors_of
from pipeline.steps.faces.learn import Candidate, serving_head
from pipeline.steps.look_up import champion


def measured(making: FaceMaking, candidate: Candidate) -> FaceMeasurement:
    """The same people and photos for both, each at its own threshold.

    What a champion of another base network says of them is not known: only this network's vectors are stored, and its
    head would make nonsense of them.
    """
    r = making.registration
    serving = champion(ModelType.FACE, r.transitions, r.versions)
    head = serving_head(making)
    beside = NamedHead(serving.version, head) if serving and head else None
    vectors = vectors_of(making, candidate.dataset)
    found = making.learner.measure(candidate.head, beside, candidate.dataset, vectors, making.gate)
    return replace(found, incomparable=serving.version) if serving and not head else found
