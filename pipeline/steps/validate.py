"""Check a frozen selection before anything is spent on it (design D20)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pipeline.domain.dataset import Manifest
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.errors import DatasetRefused, PhotoMissing, PhotoRefused, ServiceUnavailable
from pipeline.ports.bundles import DataChecks
from pipeline.ports.data import ObjectFolders, PhotoStore, Suspect, Validation
from pipeline.steps.downloads import several_at_once
from pipeline.steps.examine import examine
from pipeline.steps.stored_dataset import manifest_in
from pipeline.steps.unerased import deletion, take_back_erased

_SHOWN_PHOTOS = 24


@dataclass(frozen=True)
class Validated:
    """Where the report is, and the pages of the data docs; `suspects` are labels for a person to look at."""

    report_uri: str
    page_uris: tuple[str, ...]
    found: Validation
    suspects: tuple[Suspect, ...]


def validate(checks: DataChecks, dataset_uri: str) -> Validated:
    """What was found; what passed may enter the holdout, which never lets go of a photo.

    Raises `DatasetRefused` with every hard failure; report and data docs are kept anyway, but not when it raises
    `PhotosErased`: they may show a photo that was erased meanwhile.
    """
    objects, folder = checks.objects, DatasetFolder(dataset_uri)
    manifest = manifest_in(folder, objects)
    found, suspects = examine(folder, manifest, checks)
    shown = _photos(manifest, suspects, checks.photos)
    listed = json.dumps([asdict(s) for s in suspects], ensure_ascii=False).encode()
    objects.write(folder.suspects, listed, "application/json")
    pages = _write_pages(folder.docs, found.pages, objects)
    page = checks.reporter.page(manifest, found, suspects, shown)
    objects.write(folder.report, page, "text/html; charset=utf-8")
    written = (folder.suspects, folder.report, *objects.list(folder.docs))
    take_back_erased(checks.erasures, manifest, deletion(objects, *written))
    if found.failures:
        raise DatasetRefused(f"{manifest.dataset_id} refused", found.failures, link=folder.report)
    checks.datasets.hold_out(manifest.dataset_id, manifest)
    return Validated(folder.report, pages, found, suspects)


def _photos(manifest: Manifest, suspects: Sequence[Suspect], photos: PhotoStore) -> dict[str, bytes]:
    """Photos of the first suspects and contradictions, as far as they can be shown."""
    urls = {p.task_id: p.photo_url for p in manifest.photos}
    wanted = {s.task_id: urls[s.task_id] for s in suspects[:_SHOWN_PHOTOS]}
    doubled = [row for row in manifest.quarantined if row.kind in {"contradiction", "near_duplicate"}]
    wanted |= {row.task_id: row.photo_url for row in doubled[:_SHOWN_PHOTOS]}

    def read(url: str) -> bytes | None:
        try:
            return photos.read(url)
        except (PhotoMissing, PhotoRefused, ServiceUnavailable):
            # A page without a picture is better than no page.
            return None

    bodies = several_at_once(read, wanted.values())
    return {task_id: body for task_id, body in zip(wanted, bodies, strict=True) if body is not None}


def _write_pages(prefix: str, pages: Mapping[str, bytes], objects: ObjectFolders) -> tuple[str, ...]:
    """URIs of the pages with results. Pages of an earlier try are deleted first: they have other names."""
    for uri in objects.list(prefix):
        objects.delete(uri)
    kinds = {"html": "text/html; charset=utf-8", "css": "text/css", "svg": "image/svg+xml"}

    def write(page: tuple[str, bytes]) -> None:
        objects.write(f"{prefix}{page[0]}", page[1], kinds[page[0].rpartition(".")[2]])

    list(several_at_once(write, pages.items()))
    return tuple(f"{prefix}{path}" for path in pages if path.startswith("validations/"))
