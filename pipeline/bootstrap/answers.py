"""What steps found, in the words of those who ask: plain values that travel as JSON."""

from dataclasses import asdict
from typing import Any

from pipeline.domain.blessing import Blessing
from pipeline.domain.dataset import Dataset
from pipeline.domain.lineage import Appearance
from pipeline.domain.retraining import RetrainingDecision
from pipeline.ports.data import ObjectFolders
from pipeline.steps.trace_model import Origin
from pipeline.steps.trace_task import Use
from pipeline.steps.validate import Validated


def of_decision(decision_id: str, decision: RetrainingDecision) -> dict[str, Any]:
    return {"due": decision.due, "rule": decision.rule, "reason": decision.reason, "decision_id": decision_id}


def of_validated(done: Validated, objects: ObjectFolders) -> dict[str, Any]:
    """Addresses a browser opens, and what was found."""
    return {
        "report": objects.link(done.report_uri),
        "data_docs": [objects.link(uri) for uri in done.page_uris],
        "report_uri": done.report_uri,
        "warnings": list(done.found.warnings),
        "suspects": len(done.suspects),
    }


def of_dataset(dataset: Dataset) -> dict[str, Any]:
    counts = ("image_count", "train_count", "validation_count", "holdout_count", "holdout_version", "corrections")
    return {"dataset_id": dataset.id, **{name: getattr(dataset, name) for name in counts}}


def of_use(use: Use) -> dict[str, Any]:
    return {
        **of_appearance(use.appearance),
        "run_id": use.run_id,
        "role": use.role,
        "trained": use.trained,
        "version": use.version.version if use.version else None,
        "status": use.version.status if use.version else None,
    }


def of_origin(origin: Origin) -> dict[str, Any]:
    found = origin.version
    return {
        "version": found.version,
        "status": found.status,
        "dataset_id": found.dataset_id,
        "run_id": found.run_id,
        "artifact_uri": found.artifact.uri,
        "photos": len(origin.photos),
    }


def of_appearance(appearance: Appearance) -> dict[str, Any]:
    wanted = ("dataset_id", "run_id", "model_type", "task_id", "split", "source", "label", "photo_url")
    fields = asdict(appearance)
    return {name: fields[name] for name in wanted}


def of_verdict(blessing: Blessing, report_url: str) -> dict[str, Any]:
    return {
        "accepted": blessing.approved,
        "held": blessing.waits,
        "verdict": str(blessing.verdict),
        "reasons": list(blessing.objections),
        "doubts": list(blessing.doubts),
        "advice": blessing.advice,
        "report_uri": blessing.report_uri,
        "report_url": report_url,
    }
