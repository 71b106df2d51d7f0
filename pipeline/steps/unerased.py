"""The door for everything that shows photos: erasures are looked up after it was written (ADR 0014).

An erasure is recorded first and then takes the photo out of what it finds. What is written while that happens was
either found by it, or the one who writes sees it afterwards. A step that is killed in between is to be run again.
"""

from collections.abc import Callable
from typing import TypeVar

from pipeline.domain.dataset import Manifest
from pipeline.domain.errors import PhotosErased
from pipeline.domain.lineage import Gone
from pipeline.ports.data import Erasures, ObjectFolders

T = TypeVar("T")


def write_unerased(erasures: Erasures, write: Callable[[Gone], T]) -> T:
    """What `write` returned last. It leaves out every photo that is gone, and is called again for those that go
    meanwhile.
    """
    gone = Gone.of(erasures.all())
    while True:
        written = write(gone)
        before, gone = gone, Gone.of(erasures.all())
        if gone == before:
            return written


def take_back_erased(erasures: Erasures, manifest: Manifest, take_back: Callable[[], object]) -> None:
    """What was just written of the photos of `manifest` goes, and `PhotosErased` is raised, if one of them is erased:
    for what is not needed, or is made again by the next try.
    """
    if erased := _erased(erasures, manifest):
        take_back()
        raise PhotosErased(manifest.dataset_id, erased)


def demand_unerased(erasures: Erasures, manifest: Manifest) -> None:
    """Raises `PhotosErased` if one of its photos is erased, so that what is missing of it was taken away."""
    take_back_erased(erasures, manifest, lambda: None)


def keep_unerased(erasures: Erasures, manifest: Manifest, take_back: Callable[[], object]) -> None:
    """As `take_back_erased`, for objects that only save time: losing one raises nothing."""
    if _erased(erasures, manifest):
        take_back()


def deletion(objects: ObjectFolders, *uris: str) -> Callable[[], None]:
    def take_back() -> None:
        for uri in uris:
            objects.delete(uri)

    return take_back


def _erased(erasures: Erasures, manifest: Manifest) -> list[str]:
    return [one.task_id for one in erasures.all() if manifest.names(one.task_id)]
