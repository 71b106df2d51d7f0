"""How often a face champion wrongly refuses people or lets them in, at the monitor's last look."""

from collections.abc import Iterator

from pipeline.domain.faces.looks import FaceLook
from pipeline.domain.faces.watching import FaceState, FaceWatchPolicy
from pipeline.domain.facts import Fact, label_of
from pipeline.domain.models import ModelType


def of_face_look(look: FaceLook, policy: FaceWatchPolicy) -> Iterator[Fact]:
    """A rate is told once it is known of enough people; its interval once there is a check."""
    model = label_of(ModelType.FACE)
    labels = (model, look.version)
    yield Fact("live_accuracy_looked_timestamp_seconds", (model,), look.at.timestamp())
    for state in FaceState:
        yield Fact("face_rates_state", (*labels, state), state is look.state)
    for name, rate in look.rates.items():
        yield Fact("face_rate_people", (*labels, name), rate.people)
        if rate.share is None:
            continue
        if policy.is_known(rate.people):
            yield Fact("face_rate_ratio", (*labels, name), rate.share)
        yield Fact("face_rate_low_ratio", (*labels, name), rate.low)
        yield Fact("face_rate_high_ratio", (*labels, name), rate.high)
