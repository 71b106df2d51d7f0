"""Bundles of everything up to a finished dataset, and of forgetting a photo."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.bootstrap.kinds.kind import ModelKind
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.dataset import ConfirmedTask
from pipeline.domain.dataset_folder import first_photos
from pipeline.domain.events import ENGLISH
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import DataChecks, DataSources, Forgetting, Images
from pipeline.ports.first_photos import FirstPhotos
from pipeline.ports.intake import Intake


class DataWiring:
    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    @property
    def intake(self) -> Intake:
        w = self._w
        buckets = frozenset(w.settings.photo_buckets)
        return Intake(w.event_queue, w.confirmations, w.face_confirmations, w.clock, buckets)

    def sources_after_first(self, kind: ModelKind, model_type: ModelType) -> DataSources:
        """The Helper database, and what the first model was made of."""
        from pipeline.adapters.labelled_tasks import AndFirstPhotos

        sources = self.sources(kind)
        return replace(sources, source=AndFirstPhotos(sources.source, sources.datasets, model_type))

    def sources(self, kind: ModelKind) -> DataSources:
        from pipeline.adapters.patient_objects import PatientPhotoStore

        w = self._w
        return DataSources(
            source=kind.corrections,
            # A correction that is set aside here never counts as new again.
            photos=PatientPhotoStore(w.photos),
            inspector=kind.inspector,
            datasets=w.datasets,
            erasures=w.erasures,
            withholdings=w.withholdings,
            objects=w.objects,
            clock=w.clock,
            recipe=kind.recipe,
            prefix=w.dataset_prefix,
        )

    def first_photos(self, place: str) -> FirstPhotos:
        """`place` is a folder of this machine or an `s3://…` prefix."""
        from pipeline.adapters.photo_folders import photo_folder

        w = self._w
        folder = photo_folder(place, w.objects, w.photos_of(place))
        return FirstPhotos(folder, w.objects, w.versions, w.erasures, ENGLISH, first_photos(w.dataset_prefix))

    def sources_of(self, kind: ModelKind, tasks: Sequence[ConfirmedTask]) -> DataSources:
        """These tasks, all of them, instead of the Helper database's."""
        from pipeline.adapters.labelled_tasks import LabelledTasks

        sources, policy = self.sources(kind), self._w.settings.selection.of_everything(len(tasks))
        return replace(sources, source=LabelledTasks(tasks), recipe=replace(sources.recipe, selection=policy))

    def checks(self, kind: ModelKind) -> DataChecks:
        from pipeline.adapters.data_report import HtmlDataReport

        w = self._w
        return DataChecks(
            validator=kind.validator,
            reviewer=kind.reviewer,
            reporter=HtmlDataReport(),
            datasets=w.datasets,
            erasures=w.erasures,
            photos=w.photos,
            objects=w.objects,
            clock=w.clock,
            policy=w.settings.quality,
        )

    def images(self, kind: ModelKind) -> Images:
        from pipeline.adapters.data_report import HtmlDataReport
        from pipeline.adapters.patient_objects import PatientPhotoStore

        w = self._w
        return Images(
            # What is set aside here is missing from the dataset for good.
            photos=PatientPhotoStore(w.photos),
            augmenter=kind.augmenter,
            reporter=HtmlDataReport(),
            datasets=w.datasets,
            erasures=w.erasures,
            objects=w.objects,
            policy=w.settings.quality,
        )

    def forgetting(self, kind: ModelKind) -> Forgetting:
        w = self._w
        return Forgetting(
            datasets=w.datasets,
            erasures=w.erasures,
            runs=w.training_runs,
            versions=w.versions,
            experiments=w.experiments,
            augmenter=kind.augmenter,
            photos=w.photos,
            printer=w.printer,
            objects=w.objects,
            clock=w.clock,
            dataset_prefix=w.dataset_prefix,
            model_prefix=w.model_prefix,
        )
