"""Policies and adapters of what happens after a model is live."""

from dataclasses import replace
from functools import cached_property

from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.live_accuracy import LiveAccuracyPolicy
from pipeline.domain.retention import RetentionPolicy
from pipeline.domain.rollout import CanaryPolicy
from pipeline.ports.live import ArchiveStore, LiveMetrics, LiveReadings


class LiveWiring:
    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    @property
    def accuracy_policy(self) -> LiveAccuracyPolicy:
        return self._w.settings.live

    @property
    def canary_policy(self) -> CanaryPolicy:
        s = self._w.settings
        return replace(s.canary, floor=s.live.rollback_accuracy)

    def retention_policy(self, keep: int | None) -> RetentionPolicy:
        return self._w.settings.retention if keep is None else RetentionPolicy(keep)

    @cached_property
    def metrics(self) -> LiveMetrics:
        from pipeline.adapters.live_metrics import LiveMetricsView

        return LiveMetricsView(self._w.database)

    @cached_property
    def readings(self) -> LiveReadings:
        from pipeline.adapters.reading_table import ReadingTable

        return ReadingTable(self._w.database)

    @cached_property
    def archive(self) -> ArchiveStore:
        from pipeline.adapters.glacier import GlacierArchive

        return GlacierArchive(endpoint=self._w.settings.s3_endpoint)
