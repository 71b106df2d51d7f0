"""Adapters and policies of everything up to a finished dataset."""

from functools import cached_property
from typing import TYPE_CHECKING

from pipeline.domain.dataset import Augmentation
from pipeline.domain.quality import QualityPolicy
from pipeline.domain.selection import SelectionPolicy
from pipeline.ports.data import (
    Augmenter,
    CorrectionSource,
    DataReporter,
    Datasets,
    DataValidator,
    Erasures,
    LabelReviewer,
    PhotoInspector,
    PhotoStore,
)
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.adapters.mlops_db import MlopsDatabase


class DataWiring:
    """Part of `Wiring`, which has the settings and the application's own database."""

    settings: Settings

    if TYPE_CHECKING:

        @property
        def database(self) -> MlopsDatabase: ...

    # Policies

    @property
    def selection_policy(self) -> SelectionPolicy:
        s = self.settings
        return SelectionPolicy(
            correction_limit=s.correction_limit,
            sample_limit=s.sample_limit,
            history_limit=s.history_limit,
            replay_per_correction=s.replay_per_correction,
            earlier_per_correction=s.earlier_per_correction,
            min_train_photos=s.min_train_photos,
            holdout_limit=s.holdout_limit,
            validation_share=s.validation_share,
            holdout_share=s.holdout_share,
        )

    @property
    def quality_policy(self) -> QualityPolicy:
        s = self.settings
        return QualityPolicy(
            max_unusable_share=s.max_unusable_share,
            min_class_share=s.min_class_share,
            blurred=s.blurred_below,
            warn_drift=s.warn_drift,
            warn_holdout_uses=s.warn_holdout_uses,
        )

    @property
    def augmentation(self) -> Augmentation:
        s = self.settings
        return Augmentation(
            copies=s.augmentation_copies,
            rotation_degrees=s.augmentation_rotation_degrees,
            flip_probability=s.augmentation_flip_probability,
            brightness=s.augmentation_brightness,
            contrast=s.augmentation_contrast,
            seed=s.augmentation_seed,
            photos_per_slice=s.photos_per_slice,
        )

    # Databases

    @cached_property
    def correction_source(self) -> CorrectionSource:
        from pipeline.adapters.helper_db import HelperDatabase

        return HelperDatabase(self.settings.helper_dsn.get_secret_value())

    @cached_property
    def datasets(self) -> Datasets:
        from pipeline.adapters.dataset_table import DatasetTable

        return DatasetTable(self.database)

    @cached_property
    def erasures(self) -> Erasures:
        from pipeline.adapters.erasure_table import ErasureTable

        return ErasureTable(self.database)

    # Photos

    @cached_property
    def photos(self) -> PhotoStore:
        from pipeline.adapters.s3 import S3PhotoStore

        return S3PhotoStore(endpoint=self.settings.s3_endpoint, buckets=frozenset(self.settings.photo_buckets))

    @cached_property
    def inspector(self) -> PhotoInspector:
        from pipeline.learning.photos import PillowPhotoInspector

        return PillowPhotoInspector()

    # Checks

    @cached_property
    def validator(self) -> DataValidator:
        from pipeline.adapters.expectations import GreatExpectationsValidator

        return GreatExpectationsValidator(min_side_pixels=self.quality_policy.min_side_pixels)

    @cached_property
    def label_reviewer(self) -> LabelReviewer:
        from pipeline.learning.suspects import ConfidentLearningReviewer

        return ConfidentLearningReviewer()

    @cached_property
    def data_reporter(self) -> DataReporter:
        from pipeline.adapters.data_report import HtmlDataReport

        return HtmlDataReport()

    # Images

    @cached_property
    def augmenter(self) -> Augmenter:
        from pipeline.learning.augmentation import AlbumentationsAugmenter

        return AlbumentationsAugmenter()
