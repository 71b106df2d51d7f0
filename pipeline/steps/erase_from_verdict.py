"""Take one photo out of what a verdict shows: the sheet of photos that became wrong, and the page it is part of."""

import base64

from pipeline.domain.artifact_folder import FLIPS, REPORT_PAGE, ArtifactFolder
from pipeline.domain.dataset import Manifest
from pipeline.domain.errors import PhotoMissing, PhotoRefused
from pipeline.domain.lineage import Erasure
from pipeline.ports.bundles import Forgetting
from pipeline.steps.kept_evidence import became_wrong, predictions


def erase_from_verdict(forgetting: Forgetting, model: ArtifactFolder, manifest: Manifest, found: Erasure) -> None:
    """Draw the sheet of `model` again from what `manifest` still names. What was judged stays: figures and task ids.

    The page before the picture in it: killed in between, it is done again.
    """
    f, objects = forgetting, forgetting.objects
    if not (objects.exists(model.flips) and objects.exists(model.predictions)):
        return
    shown, sheet = objects.read(model.flips), _sheet(f, model, manifest)
    if sheet == shown:
        return
    if objects.exists(model.report_page):
        page = objects.read(model.report_page).replace(base64.b64encode(shown), base64.b64encode(sheet))
        objects.write(model.report_page, page, "text/html; charset=utf-8")
        found.rewritten += [model.report_page, *_in_tracker(f, model, REPORT_PAGE, page)]
    found.rewritten += _in_tracker(f, model, FLIPS, sheet)
    objects.write(model.flips, sheet, "image/png")
    found.rewritten.append(model.flips)


def _sheet(forgetting: Forgetting, model: ArtifactFolder, manifest: Manifest) -> bytes:
    wrong = {one.task_id for one in became_wrong(predictions(model, forgetting.objects))}
    rows = [photo for photo in manifest.natural if photo.task_id in wrong]
    return forgetting.printer.contact_sheet([(row.task_id, _bytes(forgetting, row.photo_url)) for row in rows])


def _bytes(forgetting: Forgetting, photo_url: str) -> bytes:
    """Empty where the original has gone meanwhile: its tile is grey then."""
    try:
        return forgetting.photos.read(photo_url)
    except (PhotoMissing, PhotoRefused):
        return b""


def _in_tracker(forgetting: Forgetting, model: ArtifactFolder, name: str, body: bytes) -> list[str]:
    changed = forgetting.experiments.replace_file(model.model_type, model.run_id, name, body)
    return [f"run {run} of the experiment tracker: {name}" for run in changed]
