"""What verification left beside an artifact, for the report; nothing where nothing was measured."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.checks import Prediction, ReasonFigures, negative_flips
from pipeline.domain.comparison import Slice
from pipeline.domain.staleness import OnNewest
from pipeline.ports.data import ObjectStore

Kept = Mapping[str, Any]
_OURS, _THEIRS = ("validation", "holdout"), ("champion_validation", "champion_holdout")


def predictions(folder: ArtifactFolder, objects: ObjectStore) -> Kept:
    kept: Kept = json.loads(objects.read(folder.predictions)) if objects.exists(folder.predictions) else {}
    return kept


def candidate_said(kept: Kept) -> list[Prediction]:
    return _said(kept, _OURS)


def champion_said(kept: Kept) -> list[Prediction]:
    return _said(kept, _THEIRS)


def became_wrong(kept: Kept) -> list[Prediction]:
    """Of the predictions kept beside an artifact, those that only the champion got right."""
    ours = candidate_said(kept)
    wrong = set(negative_flips(ours, champion_said(kept)))
    return [one for one in ours if one.task_id in wrong]


def slices(folder: ArtifactFolder, objects: ObjectStore) -> list[Slice]:
    return [Slice(**fields) for fields in _rows(folder.slices, objects)]


def by_reason(folder: ArtifactFolder, objects: ObjectStore) -> list[ReasonFigures]:
    return [ReasonFigures(**fields) for fields in _rows(folder.by_reason, objects)]


def staleness(folder: ArtifactFolder, objects: ObjectStore) -> list[OnNewest]:
    return [OnNewest(**fields) for fields in _rows(folder.staleness, objects)]


def earlier_answers(folder: ArtifactFolder, objects: ObjectStore) -> dict[str, str]:
    """Label by task, of earlier corrections that the model did not learn from."""
    uri = folder.earlier_answers
    said: dict[str, str] = json.loads(objects.read(uri)) if objects.exists(uri) else {}
    return said


def _said(kept: Kept, sides: Sequence[str]) -> list[Prediction]:
    return [Prediction(**one) for side in sides for one in kept.get(side) or ()]


def _rows(uri: str, objects: ObjectStore) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(objects.read(uri)) if objects.exists(uri) else []
    return rows
