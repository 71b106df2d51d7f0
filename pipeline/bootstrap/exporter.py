"""`python -m pipeline exporter`: the facts of the records and of the broker, on `/metrics`."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr

from pipeline.adapters.airflow_dags import AirflowDags, AirflowLogin
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.bootstrap.always_on import ALWAYS_ON
from pipeline.bootstrap.settings_at_start import longest_gap_seconds
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.facts import Fact
from pipeline.domain.figures.production import Branches
from pipeline.ports.bundles import Watching
from pipeline.settings import Settings
from pipeline.steps.faces.tell_face_facts import tell_face_facts
from pipeline.steps.tell_dags import tell_dags
from pipeline.steps.tell_facts import tell_facts
from pipeline.steps.tell_replicas import tell_replicas
from pipeline.steps.tell_safeguards import tell_safeguards


def begin_to_tell(settings: Settings | None = None) -> threading.Thread:
    """Answer from now on, as the settings say; the thread that does."""
    from pipeline.adapters.prometheus_facts import serve

    chosen = settings or Settings()
    facts = Facts(chosen)
    sources = {
        "settings": facts.of_settings,
        "machine": facts.of_machine,
        "database": facts.of_records,
        "broker": facts.of_broker,
        "registry": facts.of_registry,
    }
    if chosen.exporter.outboxes:
        sources |= {"helper": facts.of_helper, "access": facts.of_access}
    if chosen.exporter.airflow_url:
        sources["airflow"] = facts.of_airflow
    if facts.dags:
        sources["dags"] = facts.of_dags
    _, thread = serve(sources, chosen.exporter.host, chosen.exporter.port)
    return thread


class Facts:
    """The sources; each raises `ServiceUnavailable` while it cannot be asked."""

    def __init__(self, settings: Settings) -> None:
        self._w = Wiring(settings)
        self._branches = Branches()
        self.dags = _dags(settings)
        """Airflow, where there is a login that may look."""

    def of_records(self) -> Iterator[Fact]:
        from pipeline.adapters.face_reading_table import FaceReadingTable
        from pipeline.adapters.safeguard_table import SafeguardTable
        from pipeline.adapters.snapshot import snapshot

        with snapshot(self._w.settings.mlops_dsn.get_secret_value()) as database:
            told = watching(self._w.settings, database)
            facts = tell_facts(told, self._branches)
            # What the monitor saw some time ago is of use where nobody may ask Airflow itself.
            yield from (fact for fact in facts if not (self.dags and fact.family == "dag_paused"))
            yield from tell_face_facts(FaceReadingTable(database), self._w.settings.face_watch)
            ours = self._w.settings.exporter.backups
            yield from tell_safeguards(SafeguardTable(database), told.totals.begun() if ours else None)

    def of_settings(self) -> Iterator[Fact]:
        """The settings that alerts compare with the facts."""
        s = self._w.settings
        yield from tell_replicas(s.faceserve_replicas, s.faceserve_out_of_rotation, at_least=s.exporter.replicas)

    def of_machine(self) -> Iterator[Fact]:
        disk = shutil.disk_usage(Path.cwd())
        yield Fact("disk_free_ratio", (), disk.free / disk.total)

    def of_helper(self) -> Iterator[Fact]:
        return _of_outbox("helper", self._w.settings.helper_dsn)

    def of_access(self) -> Iterator[Fact]:
        return _of_outbox("access", self._w.settings.access_dsn)

    def of_broker(self) -> Iterator[Fact]:
        from pipeline.adapters.dead_letters import waiting_in

        s = self._w.settings
        yield Fact("confirmations_waiting", (), waiting_in(s.amqp_url.get_secret_value(), s.task_queue))
        yield Fact("dead_letters", (), self._w.dead_letters.waiting())

    def of_registry(self) -> Iterator[Fact]:
        """Only whether it answers."""
        from pipeline.adapters.health import demand_registry

        demand_registry(self._w.settings.mlflow_url)
        return iter(())

    def of_airflow(self) -> Iterator[Fact]:
        from pipeline.adapters.health import airflow_health

        for component, healthy in airflow_health(self._w.settings.exporter.airflow_url).items():
            yield Fact("airflow_healthy", (component,), healthy)

    def of_dags(self) -> Iterator[Fact]:
        return tell_dags(self.dags.seen(), self._w.settings.exporter.history_days) if self.dags else iter(())


def _dags(s: Settings) -> AirflowDags | None:
    password = s.exporter_airflow_password.get_secret_value()
    login = AirflowLogin(s.exporter.airflow_url, s.exporter.airflow_user, password)
    return AirflowDags(login, ALWAYS_ON.keys()) if login.url and login.user and password else None


def _of_outbox(name: str, dsn: SecretStr) -> Iterator[Fact]:
    from pipeline.adapters.other_outboxes import unpublished_in

    found = unpublished_in(dsn.get_secret_value(), f"the {name} database")
    yield Fact("outbox_waiting", (name,), found.waiting)
    yield Fact("outbox_oldest_seconds", (name,), found.oldest_seconds)


def watching(settings: Settings, database: MlopsDatabase) -> Watching:
    """Everything that is read of the database."""
    from pipeline.adapters.blessing_table import BlessingTable
    from pipeline.adapters.confirmation_table import ConfirmationTable
    from pipeline.adapters.retraining_run_table import RetrainingRunTable
    from pipeline.adapters.total_tables import TotalTables
    from pipeline.adapters.training_table import TrainingTable
    from pipeline.adapters.transition_log import TransitionLog
    from pipeline.adapters.trouble_table import TroubleTable
    from pipeline.adapters.version_table import VersionTable

    return Watching(
        versions=VersionTable(database),
        training_runs=TrainingTable(database),
        blessings=BlessingTable(database),
        transitions=TransitionLog(database),
        confirmations=ConfirmationTable(database),
        runs=RetrainingRunTable(database),
        troubles=TroubleTable(database),
        totals=TotalTables(database),
        live=settings.live,
        retraining=settings.retraining,
        seconds_between_looks=longest_gap_seconds(settings.monitor_schedule),
        shown=settings.exporter.versions,
    )
