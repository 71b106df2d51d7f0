"""The sheet of photos that only the champion judges right, never with one that was erased."""

from collections.abc import Callable, Collection
from typing import TypeVar

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.dataset import Dataset, Manifest
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.lineage import Gone
from pipeline.ports.bundles import Forgetting, Verification
from pipeline.steps.ask_models import still_there
from pipeline.steps.stored_dataset import manifest_in
from pipeline.steps.unerased import write_unerased

T = TypeVar("T")


def flip_sheet(drawing: Verification | Forgetting, manifest: Manifest, flipped: Collection[str], gone: Gone) -> bytes:
    """PNG of the photos of the tasks `flipped`, as far as they are not `gone`; one that cannot be had is grey."""
    rows = [row for row in manifest.natural if row.task_id in flipped and not gone.has(row.task_id, row.sha256)]
    shown = ((row.task_id, body or b"") for row, body, _ in still_there(rows, drawing.photos))
    return drawing.printer.contact_sheet(shown)


def keep_flips(v: Verification, folder: ArtifactFolder, manifest: Manifest, flipped: Collection[str]) -> None:
    """Beside the artifact."""
    write_unerased(v.erasures, lambda gone: _keep(v, folder, flip_sheet(v, manifest, flipped, gone)))


def write_with_flips(
    v: Verification,
    folder: ArtifactFolder,
    dataset: Dataset,
    flipped: Collection[str],
    write: Callable[[bytes | None], T],
) -> T:
    """What `write` returned last: it is given the sheet, and given another one when a photo on it is erased meanwhile.
    None when nothing was measured.
    """

    def with_sheet(gone: Gone) -> T:
        if not v.objects.exists(folder.flips):
            return write(None)
        if not gone.task_ids.isdisjoint(flipped):
            # What lies there may be older than an erasure that is not finished yet.
            manifest = manifest_in(DatasetFolder(dataset.uri), v.objects)
            _keep(v, folder, flip_sheet(v, manifest, flipped, gone))
        return write(v.objects.read(folder.flips))

    return write_unerased(v.erasures, with_sheet)


def _keep(v: Verification, folder: ArtifactFolder, sheet: bytes) -> None:
    v.objects.write(folder.flips, sheet, "image/png")
