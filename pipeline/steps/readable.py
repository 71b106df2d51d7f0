"""Bodies of photos to ask a model about."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.domain.dataset import ConfirmedTask
from pipeline.domain.errors import PhotoMissing, PhotoRefused
from pipeline.domain.lineage import Gone
from pipeline.ports.data import PhotoInspector, PhotoStore
from pipeline.steps.look_at import gives
from pipeline.steps.one_by_one import Looking, looked_at


@dataclass(frozen=True)
class Readable:
    """Photos that can be had and looked at, and that nobody erased under any task: a server that one of them takes down
    says nothing.
    """

    photos: PhotoStore
    inspector: PhotoInspector
    gone: Gone

    def bodies(self, tasks: Sequence[ConfirmedTask]) -> Iterator[tuple[ConfirmedTask, bytes]]:
        """Without those of the tasks that have no such photo. Raises `ServiceUnavailable` when storage is away."""
        looking = Looking(self._body, lambda task, fault: None, lambda task: gives(self.photos, task.photo_url))
        for task, body in zip(tasks, looked_at(tasks, looking), strict=True):
            if body is not None:
                yield task, body

    def _body(self, task: ConfirmedTask) -> bytes | None:
        try:
            body = self.photos.read(task.photo_url)
        except (PhotoMissing, PhotoRefused):
            return None
        print_ = self.inspector.fingerprint(body)
        return None if print_.fault or self.gone.has(task.task_id, print_.sha256) else body
