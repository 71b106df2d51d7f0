"""What the validator and the label review find in a frozen selection."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline.domain.dataset import Manifest, Split
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.models import ModelType
from pipeline.domain.quality import measure
from pipeline.ports.bundles import DataChecks
from pipeline.ports.data import Datasets, ObjectFolders, Suspect, Validation
from pipeline.steps.stored_dataset import manifest_in


def examine(folder: DatasetFolder, manifest: Manifest, checks: DataChecks) -> tuple[Validation, tuple[Suspect, ...]]:
    """What was found. Labels that look wrong are listed for a person, and named in the warnings."""
    previous, gone = _previous(manifest, checks.datasets, checks.objects)
    held = [p.task_id for p in manifest.of(Split.HOLDOUT)]
    uses = checks.datasets.holdout_uses(ModelType(manifest.model_type), held)
    measured = measure(manifest, previous, uses, checks.policy)
    found = checks.validator.check(manifest, measured, now=checks.clock.now())
    suspects = tuple(checks.reviewer.suspects(manifest, _descriptors(folder, checks.objects)))
    return replace(found, warnings=(*found.warnings, *gone, *_doubted(manifest, suspects))), suspects


def _previous(
    manifest: Manifest, datasets: Datasets, objects: ObjectFolders
) -> tuple[Manifest | None, tuple[str, ...]]:
    """The last dataset's manifest, and a warning when it is gone."""
    before = datasets.previous(manifest.dataset_id)
    if before is None:
        return None, ()
    try:
        return manifest_in(DatasetFolder(before.uri), objects), ()
    except KeyError:
        return None, (f"the manifest of {before.id} is gone: drift was not measured",)


def _descriptors(folder: DatasetFolder, objects: ObjectFolders) -> Mapping[str, bytes]:
    try:
        kept = json.loads(objects.read(folder.descriptors))
    except KeyError:
        # A dataset of an earlier release has no descriptors: its labels are not reviewed.
        return {}
    return {task_id: base64.b64decode(text) for task_id, text in kept.items()}


def _doubted(manifest: Manifest, suspects: Sequence[Suspect]) -> tuple[str, ...]:
    if not suspects:
        return ()
    first = suspects[0]
    return (
        f"{len(suspects)} of {len(manifest.photos)} labels look wrong, e.g. {first.task_id}: confirmed {first.label}, "
        f"looks like {first.suggested}",
    )
