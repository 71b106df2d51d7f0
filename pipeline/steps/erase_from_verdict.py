"""Take one photo out of what a verdict shows: the sheet of photos that became wrong, and the page it is part of."""

from pipeline.domain.artifact_folder import FLIPS, REPORT_PAGE, ArtifactFolder
from pipeline.domain.dataset import Manifest
from pipeline.domain.lineage import Erasure, Gone
from pipeline.ports.bundles import Forgetting
from pipeline.steps.flip_sheet import flip_sheet
from pipeline.steps.kept_evidence import became_wrong, predictions
from pipeline.steps.unerased import write_unerased


def erase_from_verdict(forgetting: Forgetting, model: ArtifactFolder, manifest: Manifest, found: Erasure) -> None:
    """Draw the sheet of `model` again from what `manifest` still names. What was judged stays: figures and task ids."""
    if not (forgetting.objects.exists(model.flips) and forgetting.objects.exists(model.predictions)):
        return
    write_unerased(forgetting.erasures, lambda gone: _redraw(forgetting, model, manifest, gone, found))


def _redraw(f: Forgetting, model: ArtifactFolder, manifest: Manifest, gone: Gone, found: Erasure) -> None:
    """The sheet that is compared to tell whether this was done is written last: a killed erasure is done again."""
    wrong = {one.task_id for one in became_wrong(predictions(model, f.objects))}
    sheet = flip_sheet(f, manifest, wrong, gone)
    page = f.objects.read(model.report_page) if f.objects.exists(model.report_page) else None
    mended = f.printer.with_flips(page, sheet) if page is not None else None
    if (f.objects.read(model.flips), page) == (sheet, mended):
        return
    if mended is not None:
        found.rewritten += _in_tracker(f, model, REPORT_PAGE, mended)
    found.rewritten += _in_tracker(f, model, FLIPS, sheet)
    if mended is not None:
        f.objects.write(model.report_page, mended, "text/html; charset=utf-8")
        found.rewritten.append(model.report_page)
    f.objects.write(model.flips, sheet, "image/png")
    found.rewritten.append(model.flips)


def _in_tracker(forgetting: Forgetting, model: ArtifactFolder, name: str, body: bytes) -> list[str]:
    changed = forgetting.experiments.replace_file(model.model_type, model.run_id, name, body)
    return [f"run {run} of the experiment tracker: {name}" for run in changed]
