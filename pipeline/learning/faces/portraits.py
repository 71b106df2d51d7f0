"""Photos of people are looked at as others are, and by the rule of model servers: of bad ones nothing is learned."""

from dataclasses import replace

from include.contract.portrait import PORTRAIT
from include.contract.portrait_pixels import portrait_of
from include.contract.preprocessing import to_input
from pipeline.domain.dataset import Fingerprint
from pipeline.learning.photos import PillowPhotoInspector


class PortraitInspector:
    """A photo that shows a face too badly to be compared has that as its fault."""

    def __init__(self) -> None:
        self._any = PillowPhotoInspector()

    def fingerprint(self, photo: bytes) -> Fingerprint:
        found = self._any.fingerprint(photo)
        return found if found.fault else replace(found, fault=PORTRAIT.fault(portrait_of(photo, to_input(photo))))
