"""Steps about backups of the databases: making, receiving the log, restoring, testing."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pipeline.bootstrap.data_wiring import DataWiring
from pipeline.bootstrap.kinds import OF_HELPER_TASKS, Kinds
from pipeline.bootstrap.settings_at_start import Ask, asked, nobody
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.errors import GiveUp, ServiceUnavailable
from pipeline.domain.lineage import Erased
from pipeline.ports.backup_bundles import BackingUp, OfOneDatabase, ReceivingLog, Restoring
from pipeline.ports.backups import BackupArchive, DatabaseCluster, Rebuilt, Safeguards
from pipeline.settings import Settings
from pipeline.steps.back_up import back_up
from pipeline.steps.erase_again import erase_again
from pipeline.steps.keep_log import keep_log
from pipeline.steps.left_elsewhere import in_backups, in_dead_letters
from pipeline.steps.realign_datasets import realign_datasets
from pipeline.steps.replay_erasures import keep_erasures, replay_erasures
from pipeline.steps.restore_databases import marked, rebuilt
from pipeline.steps.try_restore import try_restore

if TYPE_CHECKING:
    from pipeline.adapters.mlops_db import MlopsDatabase

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0


class BackupSteps:
    """What happens to copies of every database; `wiring` is read here and by what is built on it."""

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    @classmethod
    def from_env(cls, ask: Ask = nobody) -> Self:
        """Settings from `RETRAIN_*` variables (see `pipeline.settings`); `ask` knows more of those that are not set."""
        return cls(Wiring(Settings(asked(ask))))

    def backups_wanted(self) -> bool:
        """Whether the settings name a cluster that is backed up here, and not by whoever runs it."""
        return bool(self._w.settings.backup_dsn.get_secret_value())

    def backups_still_wanted(self) -> bool:
        """As `backups_wanted`; where they no longer are, the age of earlier backups stops alerting people."""
        if not (wanted := self.backups_wanted()):
            self._safeguards.withdraw()
        return wanted

    def back_up(self) -> dict[str, Any]:
        """Copy every database now. Raises `GiveUp` unless `backups_wanted`."""
        # Checked first: otherwise every try would leave another copy of the cluster behind.
        self.keep_erasures()
        return self._copied()

    def _copied(self) -> dict[str, Any]:
        d = BackingUp(self._cluster, self._backup_archive, self._safeguards, self._w.clock, self._w.settings.backups)
        base = back_up(d)
        log.info("backup %s: %d bytes, whole at %s", base.name, base.bytes, base.whole_at)
        return {"backup": base.name, "whole_at": base.whole_at.isoformat(), "bytes": base.bytes}

    def backups(self) -> dict[str, Any]:
        """Copies, oldest first, and where the log after them is broken."""
        archive = self._backup_archive.contents()
        bases = sorted(archive.bases, key=lambda base: base.whole_at)
        return {
            "backups": [{"backup": b.name, "whole_at": b.whole_at.isoformat(), "bytes": b.bytes} for b in bases],
            "log_files": len(archive.log),
            "holes": list(archive.holes()),
        }

    def receive_log(self, folder: Path, stop: threading.Event) -> None:
        """Bring the log to the archive until `stop`; `folder` holds what is on its way."""
        from pipeline.adapters.log_receiver import PostgresLogReceiver

        receiver = PostgresLogReceiver(self._backup_dsn(), folder)
        d = ReceivingLog(receiver, self._backup_archive, self._safeguards, self._w.clock)
        keep_log(d)
        receiver.begin()
        if not self._backup_archive.contents().bases:
            # The log alone is of no use. Whoever receives it has no key for the journal beside the datasets.
            self._copied()
        try:
            while not stop.wait(_POLL_SECONDS):
                receiver.demand_receiving()
                try:
                    keep_log(d)
                except ServiceUnavailable as error:
                    # The log goes on coming, and waits in the folder.
                    log.warning("%s", error)
        finally:
            receiver.end()

    def restorable_moment(self) -> datetime:
        """This moment, once a restore can reach it."""
        return marked(self._restoring).at

    @contextmanager
    def rebuilt_databases(self, at: datetime) -> Iterator[Rebuilt]:
        """Every database as it was then, on a socket of this machine, for as long as this is open."""
        with rebuilt(self._restoring, at) as cluster:
            yield cluster

    def restore_databases(self, at: datetime, into: Path) -> dict[str, Any]:
        """Write the data folder of the cluster as it was then, for PostgreSQL to start with. Whoever was erased
        since is erased in it.
        """
        if into.exists():
            raise GiveUp(f"{into} is there already: name a folder that is not")
        with rebuilt(self._restoring, at) as cluster:
            again = self._erased_again(cluster)
            cluster.hand_over(into)
            told = {"folder": str(into), "as_of": at.isoformat(), "postgresql": cluster.release}
            return {**told, "erased_again": again}

    def _erased_again(self, cluster: Rebuilt) -> int:
        from pipeline.adapters.mlops_db import MlopsDatabase

        if not (kept := self._w.erasure_journal.all()):
            return 0
        # This release's tables are needed to ask for erasures; the next start would migrate them anyway.
        cluster.bring_up_to_date("mlops")
        return self._replayed(MlopsDatabase(cluster.dsn("mlops")), kept)

    def _replayed(self, database: "MlopsDatabase", kept: Sequence[Erased]) -> int:
        from pipeline.adapters.dataset_table import DatasetTable
        from pipeline.adapters.erasure_table import ErasureTable
        from pipeline.adapters.face_confirmation_table import FaceConfirmationTable

        table = ErasureTable(database)
        again = replay_erasures(kept, table, FaceConfirmationTable(database))
        for dataset_id in realign_datasets(DatasetTable(database), table, self._w.objects, self._w.dataset_prefix):
            log.info("%s was rewritten by an erasure since: its rows say so", dataset_id)
        return len(again)

    def erase_again(self) -> dict[str, Any]:
        """Erase again, in the restored database of the settings and in our buckets, everything that was ever erased."""
        w = self._w
        again = self._replayed(w.database, w.erasure_journal.all())
        done = erase_again(DataWiring(w).forgetting(Kinds(w).of(OF_HELPER_TASKS)), w.settings.gallery_uri)
        return {"erased_again": again, "left_the_gallery": done.people, "objects": list(done.uris)}

    def keep_erasures(self) -> None:
        """So that erasures are known even where somebody restores without `restore_databases`."""
        keep_erasures(self._w.erasure_journal, self._w.erasures)

    def _left_elsewhere(self, words: Sequence[str]) -> list[str]:
        """What people have to know of once something with these ids, names and addresses is erased."""
        w, kept = self._w, timedelta(days=self._w.settings.backups.keep_days)
        backups = in_backups(w.clock.now(), kept if self.backups_wanted() else None)
        return [*in_dead_letters(w.dead_letters, words), backups]

    def test_restore(self) -> dict[str, Any]:
        """Restore everything to this moment, and compare. Raises `GiveUp` with what is not as it has to be."""
        live = self._records(self._w.database)
        tried = try_restore(self._restoring, live, self._of_rebuilt, self._w.objects, self._safeguards)
        return {**asdict(tried), "at": tried.at.isoformat()}

    def _of_rebuilt(self, cluster: Rebuilt) -> OfOneDatabase:
        from pipeline.adapters.mlops_db import MlopsDatabase

        return self._records(MlopsDatabase(cluster.dsn("mlops")))

    @staticmethod
    def _records(database: "MlopsDatabase") -> OfOneDatabase:
        from pipeline.adapters.safeguard_table import GrowingTableRows
        from pipeline.adapters.transition_log import TransitionLog
        from pipeline.adapters.version_table import VersionTable

        return OfOneDatabase(GrowingTableRows(database), TransitionLog(database), VersionTable(database))

    @property
    def _restoring(self) -> Restoring:
        from pipeline.adapters.rebuilt_cluster import PostgresBuilder

        s = self._w.settings
        return Restoring(
            self._cluster, self._backup_archive, PostgresBuilder(s.backup_scratch), self._w.clock, s.backups
        )

    @property
    def _cluster(self) -> DatabaseCluster:
        from pipeline.adapters.postgres_cluster import PostgresCluster

        return PostgresCluster(self._backup_dsn())

    def _backup_dsn(self) -> str:
        if not self.backups_wanted():
            raise GiveUp("RETRAIN_BACKUP_DSN is empty: this installation's databases are backed up by somebody else")
        return self._w.settings.backup_dsn.get_secret_value()

    @cached_property
    def _backup_archive(self) -> BackupArchive:
        from pipeline.adapters.backup_archive import S3BackupArchive

        s = self._w.settings
        return S3BackupArchive(s.backup_uri, endpoint=s.s3_endpoint, keys=self._w.s3_keys)

    @cached_property
    def _safeguards(self) -> Safeguards:
        from pipeline.adapters.safeguard_table import SafeguardTable

        return SafeguardTable(self._w.database)
