"""Metrics about the face champion: both rates as the monitor saw them last."""

from collections.abc import Iterator

from pipeline.domain.faces.watching import FaceWatchPolicy
from pipeline.domain.facts import Fact
from pipeline.domain.figures.faces import of_face_look
from pipeline.ports.face_watching import FaceLooks


def tell_face_facts(looks: FaceLooks, policy: FaceWatchPolicy) -> Iterator[Fact]:
    """No metrics before the first look: until then no face model serves."""
    if (seen := looks.last()) is not None:
        yield from of_face_look(seen, policy)
