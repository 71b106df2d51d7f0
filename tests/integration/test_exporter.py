"""`python -m pipeline exporter` beside real PostgreSQL and RabbitMQ, and a real Prometheus that reads it."""

from contextlib import closing
from dataclasses import replace
from urllib.request import urlopen

import pika
import psycopg2
import pytest
import yaml

from include.demo.boards import queries
from include.demo.figures import FIGURES, compare
from include.demo.prometheus import prometheus_of
from include.stack import observing, runner
from include.stack.layout import REPOSITORY, environment, load_or_create
from include.stack.migrations import migrate
from include.stack.postgres import query
from include.stack.supervision import Supervision
from pipeline.adapters.blessing_table import BlessingTable
from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.dataset_table import DatasetTable
from pipeline.adapters.reading_table import ReadingTable
from pipeline.adapters.snapshot import snapshot
from pipeline.adapters.training_table import TrainingTable
from pipeline.adapters.transition_log import TransitionLog
from pipeline.adapters.version_table import VersionTable
from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.live_accuracy import LabelTally, LiveAccuracyPolicy, Observation, Tally
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import Phase
from pipeline.ports.live import Look
from tests.builders import NOW, a_blessing, a_model_version, a_training_result, a_validation, an_event
from tests.histories import a_history
from tests.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def watched(running_services):
    """The tests' own services, and who watches them."""
    running_services.empty()
    names = ["exporter", "prometheus"]
    runner.up(running_services.stack.root, lambda text: None, names, preferred_ports=False)
    yield running_services
    for name in names:
        Supervision(running_services.stack).stop(name)
    running_services.empty()


def scrape(services):
    with urlopen(f"http://127.0.0.1:{services.stack.port('exporter')}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def asked(services, expression):
    return prometheus_of(services.stack).query(expression)


def test_prometheus_reads_what_the_database_says(watched):
    ConfirmationTable(watched.mlops).store([an_event(f"{n}") for n in range(7)])
    until(lambda: asked(watched, "sum(retraining_confirmations_total)") == [({}, 7.0)], "Prometheus to see 7")
    # Nobody started Airflow, MLflow and replicas here.
    away = {labels["source"] for labels, up in asked(watched, "retraining_exporter_up") if not up}
    assert away == {"registry", "airflow", "dags"}
    wanted = {"exporter": 1, "rabbitmq": 1, "prometheus": 1, "faceserve": 0}
    until(lambda: {labels["job"]: value for labels, value in asked(watched, "up")} == wanted, "all to be scraped")


@pytest.mark.parametrize("query", list(queries()), ids=lambda query: f"{query.board}: {query.place}")
def test_prometheus_answers_every_query_of_the_boards(watched, query):
    assert isinstance(asked(watched, query.filled), list)


def test_confirmations_that_nobody_takes_are_told_also_where_the_broker_is_not_scraped(watched):
    """The account that only watches may ask."""
    assert scrape(watched)["retraining_confirmations_waiting"] == "0.0"
    with closing(pika.BlockingConnection(pika.URLParameters(watched.stack.amqp_url))) as connection:
        channel = connection.channel()
        channel.basic_publish("", "mlops.task-confirmed", b"{}")
        until(lambda: scrape(watched)["retraining_confirmations_waiting"] == "1.0", "the exporter to see it")
        channel.queue_purge("mlops.task-confirmed")
    assert scrape(watched)["retraining_dead_letters"] == "0.0"


def test_the_queue_of_the_business_board_is_one_of_rabbitmqs(watched):
    """With its real name, which no rule of ours decides."""
    expression = 'rabbitmq_detailed_queue_messages_ready{queue="mlops.task-confirmed"}'
    until(lambda: asked(watched, expression), "Prometheus to see the queue")


def test_prometheus_has_the_rules(watched):
    with urlopen(f"http://127.0.0.1:{watched.stack.port('prometheus')}/api/v1/rules", timeout=60) as answer:
        groups = yaml.safe_load(answer)["data"]["groups"]
    assert {group["name"] for group in groups} == {"serving", "serving-alerts", "models", "retraining", "operation"}
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}


def test_what_prometheus_says_of_a_life_is_what_the_database_says(watched):
    """The figures of the demo's report, over records of every kind."""
    database, checks = watched.mlops, (a_validation(0.94), replace(a_validation(0.91), name="holdout_accuracy"))
    for version in ("v1.0.0", "v1.1.0"):
        run_id = f"run-of-{version}"
        dataset_id = DatasetTable(database).begin(run_id, ModelType.LAUNDRY)
        TrainingTable(database).succeed(a_training_result(run_id, dataset_id=dataset_id))
        BlessingTable(database).grant(a_blessing(run_id, checks=checks), None)
        VersionTable(database).register(a_model_version(version, dataset_id=dataset_id))
    log, history = TransitionLog(database), a_history("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0")
    failed = replace(history.entries[-1], phase=Phase.FAILED)
    log.append(log.ledger(ModelType.LAUNDRY), *history.entries[:2], failed, history.entries[2])
    said = [("v1.0.0", {"reviewSeconds": 4.5}), ("v1.0.0", {}), ("v1.1.0", {"reviewSeconds": 2}), (None, {})]
    events = [an_event(f"life-{n}", model_version=version, extra=extra) for n, (version, extra) in enumerate(said)]
    ConfirmationTable(database).store([*events, an_event("right", ai_result="양호", corrected=False)])
    tally = Tally((LabelTally("양호", 200, 190),), NOW)
    seen = Observation("v1.0.0", tally, tally, Tally((LabelTally("양호", 50, 44),), NOW))
    reading = LiveAccuracyPolicy().judge(seen, NOW)
    ReadingTable(database).record(Look(ModelType.LAUNDRY, NOW, seen, reading, {}, "looked"))
    prometheus, figures = prometheus_of(watched.stack), [figure for figure in FIGURES if figure.sql]

    def wrong():
        return compare(prometheus, lambda sql: query(watched.stack.dsn("mlops", "mlops"), sql), 60, figures).wrong

    until(lambda: not wrong(), "Prometheus to say the same")
    assert len(figures) > 24
    by_name = {figure.name: figure for figure in figures}
    # Live accuracy is known in this life: that both know nothing would be equal, too.
    assert all(prometheus.number(by_name[f"live_accuracy_{kind}_low"].expr) for kind in ("observed", "blind"))


def test_a_database_that_is_away_is_told_and_nothing_old(watched):
    assert scrape(watched)['retraining_exporter_up{source="database"}'] == "1.0"
    with watched.without("postgres"):
        told = scrape(watched)
        assert told['retraining_exporter_up{source="database"}'] == "0.0"
        # Of the settings, the machine and the broker, which answer.
        assert [name for name in told if name.startswith("retraining_") and "exporter" not in name] == [
            "retraining_replicas_expected",
            "retraining_disk_free_ratio",
            "retraining_confirmations_waiting",
            "retraining_dead_letters",
        ]
    assert scrape(watched)['retraining_exporter_up{source="database"}'] == "1.0"


def test_what_another_service_has_not_published_is_told_by_its_times_alone(watched):
    """Of a confirmation that does not come nobody else knows; and whoever watches reads nothing of what is in it."""
    event = "INSERT INTO outbox (id, payload, created_at) VALUES ('late', '{}', now() - interval '10 minutes')"
    for name in ("helper", "access"):
        query(watched.stack.dsn(name, name), event)
        waits = f'retraining_outbox_oldest_seconds{{database="{name}"}}'
        assert 600 <= float(scrape(watched)[waits]) < 1200
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            query(watched.stack.dsn("mlops_viewer", name), "SELECT payload FROM outbox")
        query(watched.stack.dsn(name, name), "DELETE FROM outbox")
        assert scrape(watched)[waits] == "0.0"


def test_the_exporter_can_write_nothing(watched):
    with pytest.raises(ServiceUnavailable, match="read-only transaction"):
        ask(watched, "DELETE FROM outbox")


def ask(services, sql):
    with snapshot(services.stack.dsn("mlops", "mlops")) as database, database.transaction() as cursor:
        cursor.execute(sql)


def test_a_question_that_takes_too_long_is_given_up(watched):
    with pytest.raises(ServiceUnavailable, match="statement timeout"):
        ask(watched, "SELECT pg_sleep(60)")


def test_what_was_confirmed_before_the_upgrade_is_counted_too(watched, tmp_path):
    """A database of the release before, with rows in it."""
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    for path in sorted((REPOSITORY / "include/sql/mlops").glob("*.sql")):
        if path.name < "0020":
            (earlier / path.name).write_text(path.read_text())
    owner = watched.stack.dsn("postgres", "postgres")
    connection = psycopg2.connect(owner)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("CREATE DATABASE of_before OWNER mlops")
    old = watched.stack.dsn("mlops", "of_before")
    migrate(old, earlier)
    row = "('{0}', 't-{0}', 'h', '양호', '양호', false, '', 'v1.0.0', now(), '{{\"reviewSeconds\": 4}}')"
    query(
        old,
        "INSERT INTO task_confirmations (key, task_id, helper_id, ai_result, final_result, corrected, photo_url,"
        f" model_version, confirmed_at, extra) VALUES {', '.join(row.format(n) for n in range(3))}",
    )
    migrate(old, REPOSITORY / "include/sql/mlops")
    counted = query(old, "SELECT model_version, stored, reviews_timed, review_seconds FROM confirmation_totals")
    cursor.execute("DROP DATABASE of_before")
    connection.close()
    assert counted == [("v1.0.0", 3, 3, 12.0)]


def test_the_local_configuration_names_no_container(tmp_path):
    stack = load_or_create(tmp_path, preferred=False)
    text = yaml.safe_dump(observing.configuration(stack)["scrape_configs"])
    targets = [t for job in yaml.safe_load(text) for group in job["static_configs"] for t in group["targets"]]
    assert len(targets) >= 5
    assert all(target.startswith("127.0.0.1:") for target in targets)
    assert {"RETRAIN_EXPORTER_PORT"} <= set(environment(stack))
    assert {"exporter", "prometheus", "alertmanager"} <= {s.name for s in runner.all_services(stack)}
