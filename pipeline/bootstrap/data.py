"""Steps up to a finished dataset, and what is asked of datasets later: lineage, forgetting a photo."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pipeline.bootstrap.lookups import Lookups
from pipeline.domain.dataset import Dataset, Manifest
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.events import LABELS
from pipeline.domain.models import ModelType

log = logging.getLogger(__name__)


class DataSteps(Lookups):
    def collect(self, run_id: str, model_type: str) -> str:
        """Freeze a selection; its dataset id."""
        from pipeline.steps.collect import collect

        w = self._w
        return collect(
            run_id,
            ModelType(model_type),
            labels=LABELS,
            since=self._corrections_since(ModelType(model_type)),
            policy=w.selection_policy,
            augmentation=w.augmentation,
            source=w.correction_source,
            photos=w.photos,
            inspector=w.inspector,
            datasets=w.datasets,
            erasures=w.erasures,
            objects=w.objects,
            prefix=self._dataset_prefix,
        )

    def validate(self, dataset_id: str) -> dict[str, Any]:
        """Check the selection; addresses a browser opens, and what was found. Raises `DatasetRefused`."""
        from pipeline.steps.validate import validate

        w = self._w
        done = validate(
            self._dataset_uri(dataset_id),
            policy=w.quality_policy,
            validator=w.validator,
            reviewer=w.label_reviewer,
            reporter=w.data_reporter,
            datasets=w.datasets,
            photos=w.photos,
            objects=w.objects,
            clock=w.clock,
        )
        for warning in done.found.warnings:
            log.warning("%s", warning)
        answer = {
            "report": w.objects.link(done.report_uri),
            "data_docs": [w.objects.link(uri) for uri in done.page_uris],
            "report_uri": done.report_uri,
            "warnings": list(done.found.warnings),
            "suspects": len(done.suspects),
        }
        log.info("report: %s", answer["report"])
        return answer

    def slices(self, dataset_id: str) -> list[int]:
        """Indexes of the slices to augment."""
        from pipeline.steps.augment import slices

        return list(range(len(slices(self._manifest(dataset_id)))))

    def augment_slice(self, dataset_id: str, index: int) -> str:
        """Write one shard; its URI."""
        from pipeline.steps.augment import augment

        w = self._w
        return augment(self._dataset_uri(dataset_id), index, photos=w.photos, augmenter=w.augmenter, objects=w.objects)

    def assemble(self, run_id: str, dataset_id: str) -> dict[str, Any]:
        """Finish the dataset; its counts."""
        from pipeline.steps.assemble import assemble

        w = self._w
        dataset = assemble(
            run_id,
            self._dataset_uri(dataset_id),
            augmenter=w.augmenter,
            objects=w.objects,
            datasets=w.datasets,
        )
        return {
            "dataset_id": dataset.id,
            "image_count": dataset.image_count,
            "train_count": dataset.train_count,
            "validation_count": dataset.validation_count,
            "holdout_count": dataset.holdout_count,
            "holdout_version": dataset.holdout_version,
            "corrections": dataset.corrections,
        }

    def lineage_of_task(self, task_id: str) -> list[dict[str, Any]]:
        """Datasets and models that the task's photo shaped, oldest first."""
        from pipeline.steps.trace_task import trace_task

        w = self._w
        return [
            {
                **_appearance(asdict(use.appearance)),
                "role": use.role,
                "trained": use.trained,
                "version": use.version.version if use.version else None,
                "status": use.version.status if use.version else None,
            }
            for use in trace_task(task_id, datasets=w.datasets, runs=w.training_runs, versions=w.versions)
        ]

    def lineage_of_model(self, model_type: str, version: str) -> Iterator[dict[str, Any]]:
        """The version, then every photo it learned from or was judged by."""
        from pipeline.steps.trace_model import trace_model

        w = self._w
        origin = trace_model(ModelType(model_type), version, datasets=w.datasets, versions=w.versions)
        found = origin.version
        yield {
            "version": found.version,
            "status": found.status,
            "dataset_id": found.dataset_id,
            "run_id": found.run_id,
            "artifact_uri": found.artifact.uri,
            "photos": len(origin.photos),
        }
        for photo in origin.photos:
            yield _appearance(asdict(photo))

    def erase_photo(self, task_id: str, *, actor: str, reason: str) -> dict[str, Any]:
        """Forget a task's photo everywhere; what was touched, and what is left to people."""
        from pipeline.steps.erase_photo import erase_photo

        w = self._w
        done = erase_photo(
            task_id,
            actor=actor,
            reason=reason,
            prefix=self._dataset_prefix,
            model_prefix=f"s3://{w.settings.model_bucket}/",
            datasets=w.datasets,
            erasures=w.erasures,
            runs=w.training_runs,
            versions=w.versions,
            experiments=w.experiments,
            augmenter=w.augmenter,
            objects=w.objects,
            clock=w.clock,
        )
        return asdict(done)

    def _unseen_demand(self, dataset: Dataset) -> Callable[[Iterable[str]], None]:
        """What training asks about the photos it read: raises `DatasetRefused` if one of them was ever held out."""
        from pipeline.domain.leakage import demand_unseen

        w = self._w
        body = w.objects.read(f"{dataset.uri}manifest.json")
        if hashlib.sha256(body).hexdigest() != w.datasets.frozen_sha256(dataset.id):
            raise DatasetRefused(f"{dataset.uri}manifest.json is not what was frozen (sha256 differs)")
        manifest, holdout = Manifest.from_json(body), w.datasets.holdout(ModelType(dataset.model_type))
        return lambda task_ids: demand_unseen(manifest, holdout, task_ids)

    def _dataset_pictures(self, dataset: Dataset) -> dict[str, bytes]:
        """What people look at beside the training's own figures."""
        return {"contact-sheet.png": self._w.objects.read(f"{dataset.uri}contact-sheet.png")}

    def _corrections_since(self, model_type: ModelType) -> datetime | None:
        champion = self._champion(model_type)
        return self._w.datasets.get(champion.dataset_id).corrections_through if champion else None


def _appearance(fields: dict[str, Any]) -> dict[str, Any]:
    wanted = ("dataset_id", "run_id", "model_type", "task_id", "split", "source", "label", "photo_url")
    return {name: fields[name] for name in wanted}
