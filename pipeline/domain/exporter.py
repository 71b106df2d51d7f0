"""Where the exporter answers, and how much it tells."""

from dataclasses import dataclass
from typing import Annotated

from pipeline.domain.bounds import Address, AtLeastOne, Range


@dataclass(frozen=True)
class ExporterPolicy:
    """Where `python -m pipeline exporter` answers, and how much it tells."""

    host: str = "127.0.0.1"
    """Address on which the exporter listens; `0.0.0.0` in a container."""
    port: Annotated[int, Range(at_least=1, at_most=65535)] = 9600
    """Port on which the exporter answers `/metrics`."""
    airflow_url: Annotated[str, Address(("http", "https"), "an address such as http://host:8080", "")] = ""
    """Airflow's api-server, whose parts the exporter asks for their health; empty: it is not asked."""
    airflow_user: str = ""
    """A login of Airflow that may look at DAGs and no more (role viewer), with `RETRAIN_EXPORTER_AIRFLOW_PASSWORD`:
    which are paused is asked of Airflow itself. Empty: it is told as the monitor saw it."""
    history_days: Annotated[int, Range(at_least=14, at_most=3650)] = 90
    """Days that Airflow should keep its runs (`AIRFLOW_HISTORY_DAYS`, in a cluster `databaseCleanup.retentionDays`): of
    older ones people are told."""
    versions: AtLeastOne = 10
    """Newest versions of each model that have series of their own, besides those that serve or are on trial."""
    replicas: Annotated[int, Range(at_least=0, at_most=1000)] = 0
    """Replicas that have to serve at all times; 0: as many as `RETRAIN_FACESERVE_REPLICAS` has addresses."""
    outboxes: bool = False
    """Whether the Helper service's and the access service's outboxes are looked at, too, in the databases of
    `RETRAIN_HELPER_DSN` and `RETRAIN_ACCESS_DSN`, with a role that may read the times in them."""
    backups: bool = False
    """Whether backups of the databases are made by this installation: then one that never was is told, too."""
