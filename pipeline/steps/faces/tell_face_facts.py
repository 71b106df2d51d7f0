"""Both rates of the face champion as the monitor saw them last, for whoever watches from outside."""

from collections.abc import Iterator

from pipeline.domain.facts import Fact
from pipeline.domain.figures.faces import of_face_look
from pipeline.ports.face_watching import FaceLooks


def tell_face_facts(looks: FaceLooks) -> Iterator[Fact]:
    """Nothing before the first look: then no face model serves."""
    if (seen := looks.last()) is not None:
        yield from of_face_look(seen)
