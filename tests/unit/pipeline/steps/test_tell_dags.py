"""Which DAGs are paused, as Airflow says it, and whether its history goes."""

from pipeline.domain.facts import FAMILIES
from pipeline.ports.facts import DagsSeen
from pipeline.steps.tell_dags import tell_dags
from tests.builders import NOW

SEEN = DagsSeen({"backup": True, "model_rollback": False}, unreadable=1, oldest_run=NOW)


def told(seen, history_days=90):
    facts = list(tell_dags(seen, history_days))
    assert all(len(fact.labels) == len(FAMILIES[fact.family].labels) for fact in facts)
    return {(fact.family, *fact.labels): fact.value for fact in facts}


def test_each_dag_is_paused_or_not():
    facts = told(SEEN)
    assert (facts["dag_paused", "backup"], facts["dag_paused", "model_rollback"]) == (1, 0)
    assert facts["dag_files_unreadable",] == 1


def test_how_far_back_airflow_remembers_stands_beside_how_far_it_should():
    facts = told(SEEN, history_days=30)
    assert facts["airflow_oldest_run_timestamp_seconds",] == NOW.timestamp()
    assert facts["airflow_history_seconds",] == 30 * 86400


def test_what_airflow_does_not_know_has_no_number():
    facts = told(DagsSeen({}, 0, None))
    assert facts == {("dag_files_unreadable",): 0, ("airflow_history_seconds",): 90 * 86400}
