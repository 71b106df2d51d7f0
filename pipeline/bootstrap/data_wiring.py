"""Bundles of everything up to a finished dataset, and of forgetting a photo; adapters that nothing else needs."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.dataset import ConfirmedTask
from pipeline.domain.dataset_folder import first_photos
from pipeline.domain.events import ENGLISH, LABELS
from pipeline.domain.selection import Recipe
from pipeline.ports.bundles import DataChecks, DataSources, FirstPhotos, Forgetting, Images, Intake
from pipeline.ports.data import Augmenter, CorrectionSource, DataReporter, DataValidator, LabelReviewer, PhotoInspector


class DataWiring:
    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    @property
    def intake(self) -> Intake:
        w = self._w
        return Intake(w.event_queue, w.confirmations, w.clock, frozenset(w.settings.photo_buckets))

    @property
    def sources(self) -> DataSources:
        from pipeline.adapters.patient_objects import PatientPhotoStore

        w = self._w
        return DataSources(
            source=self._corrections,
            # What is set aside here is never a new correction again.
            photos=PatientPhotoStore(w.photos),
            inspector=self._inspector,
            datasets=w.datasets,
            erasures=w.erasures,
            objects=w.objects,
            clock=w.clock,
            recipe=Recipe(LABELS, w.settings.selection, w.settings.augmentation),
            prefix=w.dataset_prefix,
        )

    def first_photos(self, place: str) -> FirstPhotos:
        """`place` is a folder of this machine or an `s3://…` prefix."""
        from pipeline.adapters.photo_folders import photo_folder

        w = self._w
        folder = photo_folder(place, w.objects)
        return FirstPhotos(folder, w.objects, w.versions, ENGLISH, first_photos(w.dataset_prefix))

    def sources_of(self, tasks: Sequence[ConfirmedTask]) -> DataSources:
        """These tasks, all of them, instead of the Helper database's."""
        from pipeline.adapters.labelled_tasks import LabelledTasks

        sources, policy = self.sources, self._w.settings.selection.of_everything(len(tasks))
        return replace(sources, source=LabelledTasks(tasks), recipe=replace(sources.recipe, selection=policy))

    @property
    def checks(self) -> DataChecks:
        w = self._w
        return DataChecks(
            validator=self._validator,
            reviewer=self._reviewer,
            reporter=self._reporter,
            datasets=w.datasets,
            photos=w.photos,
            objects=w.objects,
            clock=w.clock,
            policy=w.settings.quality,
        )

    @property
    def images(self) -> Images:
        w = self._w
        return Images(w.photos, self._augmenter, w.datasets, w.erasures, w.objects)

    @property
    def forgetting(self) -> Forgetting:
        w = self._w
        return Forgetting(
            datasets=w.datasets,
            erasures=w.erasures,
            runs=w.training_runs,
            versions=w.versions,
            experiments=w.experiments,
            augmenter=self._augmenter,
            photos=w.photos,
            printer=w.printer,
            objects=w.objects,
            clock=w.clock,
            dataset_prefix=w.dataset_prefix,
            model_prefix=w.model_prefix,
        )

    @cached_property
    def _corrections(self) -> CorrectionSource:
        from pipeline.adapters.helper_db import HelperDatabase

        return HelperDatabase(self._w.settings.helper_dsn.get_secret_value())

    @cached_property
    def _inspector(self) -> PhotoInspector:
        from pipeline.learning.photos import PillowPhotoInspector

        return PillowPhotoInspector()

    @cached_property
    def _validator(self) -> DataValidator:
        from pipeline.adapters.expectations import GreatExpectationsValidator

        return GreatExpectationsValidator()

    @cached_property
    def _reviewer(self) -> LabelReviewer:
        from pipeline.learning.suspects import ConfidentLearningReviewer

        return ConfidentLearningReviewer()

    @cached_property
    def _reporter(self) -> DataReporter:
        from pipeline.adapters.data_report import HtmlDataReport

        return HtmlDataReport()

    @cached_property
    def _augmenter(self) -> Augmenter:
        from pipeline.learning.augmentation import AlbumentationsAugmenter

        return AlbumentationsAugmenter()
