"""What Airflow says of our DAGs, as numbers for whoever watches."""

from collections.abc import Iterator

from pipeline.domain.facts import Fact
from pipeline.ports.facts import DagsSeen


def tell_dags(seen: DagsSeen, history_days: int) -> Iterator[Fact]:
    """`history_days`: for how long Airflow should remember its runs."""
    for dag_id, paused in seen.paused.items():
        yield Fact("dag_paused", (dag_id,), paused)
    yield Fact("dag_files_unreadable", (), seen.unreadable)
    yield Fact("airflow_history_seconds", (), history_days * 86400)
    if seen.oldest_run is not None:
        yield Fact("airflow_oldest_run_timestamp_seconds", (), seen.oldest_run.timestamp())
