"""One trace from a correction to the replicas that serve what was learned from it, at a collector that takes OTLP."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient

from include.contract.tracing import ENDPOINT, traces_of
from include.helper_service.app import create_app
from include.helper_service.settings import Settings as HelperSettings
from include.helper_service.tasks import Verdict
from include.stack.layout import REPOSITORY, environment
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.bootstrap import Asker, GiveUp, Pipeline
from pipeline.bootstrap.wiring import Wiring
from pipeline.settings import Settings
from tests.builders import a_photo
from tests.collector import attributes, collector
from tests.contract.test_fleet import TOKEN
from tests.contract.test_tables import a_small_manifest
from tests.integration.test_after_live import World
from tests.waiting import until

pytestmark = pytest.mark.integration

RUN, SECRET_REASON = "run-of-v1.0.0", "김 고객의 셔츠에 얼룩"
BY_HAND = Asker("test", "kim", by_hand=True)
CONFIRMATION = {"finalResult": "불량", "aiResult": "양호", "corrected": True, "correctionReason": SECRET_REASON}
REVIEW = {
    "reviewerId": "kim",
    "finalResult": "불량",
    "correctionReason": SECRET_REASON,
    "reviewSeconds": 2,
    "shownAt": "2026-05-04T10:00:00Z",
}


@pytest.fixture
def collected(monkeypatch):
    with collector() as found:
        monkeypatch.setenv(ENDPOINT, f"{found.url}/v1/traces")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        traces_of.cache_clear()
        yield found
        traces_of.cache_clear()


@pytest.fixture
def pipeline(services, collected):
    return a_pipeline(services)


def a_pipeline(services, **more):
    stack = services.stack
    doors = {"mlops_dsn": stack.dsn("mlops", "mlops"), "amqp_url": stack.amqp_url, "s3_endpoint": stack.s3_endpoint}
    return Pipeline(Wiring(Settings(**doors, **more)))


@contextmanager
def replicas(services, folder):
    """Two of them, which send their spans when they stop, and a pipeline that knows them."""
    world = World(services, folder, traces=True)
    addresses = tuple(world.replicas.lifecycle_addresses)
    pipeline = a_pipeline(services, faceserve_replicas=addresses, faceserve_token=TOKEN)
    pipeline._w.registry = world.registry
    try:
        yield world, pipeline
    finally:
        world.replicas.close()


@contextmanager
def helper(services):
    dsn, amqp_url = services.stack.dsn("helper", "helper"), services.stack.amqp_url
    settings = HelperSettings(dsn=dsn, amqp_url=amqp_url, undo_seconds=0, blind_audit_share=0, second_opinion_share=0)
    with TestClient(create_app(settings, judge=lambda photo_url, task_id: Verdict("양호", "v0.9.0"))) as client:
        yield client


def correct(services, task_id, way, headers):
    """Somebody corrects the task; its event has come to the queue."""
    with helper(services) as http:
        photo_url = f"s3://tasks/{task_id}.jpg"
        http.post("/helper/tasks", json={"taskId": task_id, "helperId": "H-1", "photoUrl": photo_url})
        body = CONFIRMATION if way == "confirm" else REVIEW
        said = http.post(f"/helper/tasks/{task_id}/{way}", json=body, headers=headers)
        assert said.is_success, said.text
        tasks, outbox = http.app.state.tasks, http.app.state.outbox
        # What people said on the page settles first.
        until(lambda: tasks.get(task_id).final_result and not outbox.unpublished(1), "the event to be published")


def trace_of(*spans):
    (trace_id,) = {span.trace_id.hex() for span in spans}
    return trace_id


@pytest.mark.parametrize("way", ["confirm", "reviews"])
def test_from_a_correction_the_run_is_found_and_from_the_run_the_correction(services, collected, tmp_path, way):
    task_id = a_photo(1).task_id
    correct(services, task_id, way, {})
    with replicas(services, tmp_path) as (world, pipeline):
        assert pipeline.accumulate()["new"] == 1
        dataset_id = world.tables.versions.get("LAUNDRY", world.register("v1.0.0")).dataset_id
        manifest = a_small_manifest(dataset_id).to_json()
        S3ObjectStore(endpoint=services.stack.s3_endpoint).write(f"s3://datasets/{dataset_id}/manifest.json", manifest)
        assert pipeline.begin_run(RUN, "LAUNDRY", BY_HAND)["due"]
        assert pipeline.collect(RUN, "LAUNDRY") == dataset_id
        with pytest.raises(GiveUp):
            pipeline.train(RUN, "DS-2026-999", lambda epoch: None)
        pipeline.hot_swap("LAUNDRY", "v1.0.0", "kim", SECRET_REASON, "a request of its own")

    first, published, stored, last = (
        collected.named(name)[0]
        for name in ({"confirm": "confirm", "reviews": "review"}[way], "publish", "intake", "collected")
    )
    assert trace_of(first, published, stored, last) != trace_of(*collected.named("retraining"))
    (run,) = collected.named("retraining")
    (chosen,), (trained,), (swapped,) = (collected.named(name) for name in ("collect", "train", "hot_swap"))
    assert trace_of(run, chosen, trained, swapped)
    assert {span.parent_span_id for span in (chosen, trained, swapped)} == {run.span_id}
    assert [link.trace_id for link in chosen.links] == [first.trace_id]
    assert [link.trace_id for link in last.links] == [run.trace_id]
    assert attributes(trained.attributes)["error.type"] == "GiveUp"
    for call in ("Prepare", "Activate"):
        asked = collected.of_service(f"faceserve.v1.Lifecycle/{call}", "retraining")
        done = collected.of_service(f"faceserve.v1.Lifecycle/{call}", "faceserve")
        assert trace_of(*asked, *done) == run.trace_id.hex()
        assert {span.parent_span_id for span in done} == {span.span_id for span in asked}
        addresses = [attributes(span.attributes)["server.address"] for span in asked]
        assert sorted(addresses) == sorted(world.replicas.lifecycle_addresses)
    assert SECRET_REASON not in repr([attributes(span.attributes) for _, span in collected.spans])


def test_a_word_said_in_somebodys_trace_stays_in_it_and_hostile_headers_begin_their_own(services, collected, pipeline):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    correct(services, "T-1", "confirm", {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    correct(services, "T-2", "confirm", {"traceparent": f"00-{'0' * 32}-' OR 1=1-01"})
    assert pipeline.accumulate()["new"] == 2
    pipeline._w.traces.spans.flush()
    first, second = collected.named("intake")
    assert first.trace_id.hex() == trace != second.trace_id.hex()


def test_a_training_in_another_process_is_in_the_trace_of_its_run(services, collected, pipeline):
    command = [sys.executable, "-m", "pipeline", "train", "--run-id", RUN, "--dataset-id", "DS-2026-999"]
    variables = {**os.environ, **environment(services.stack), ENDPOINT: f"{collected.url}/v1/traces"}
    subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, check=False)
    assert pipeline.begin_run(RUN, "LAUNDRY", BY_HAND)["due"]
    (run,), (trained,) = collected.named("retraining"), collected.named("train")
    assert trained.trace_id == run.trace_id and trained.parent_span_id == run.span_id


def test_without_an_endpoint_nothing_is_kept_and_nothing_is_sent(services, collected, monkeypatch):
    monkeypatch.delenv(ENDPOINT)
    unseen = a_pipeline(services)
    correct(services, "T-1", "confirm", {})
    assert unseen.accumulate()["new"] == 1
    unseen.begin_run(RUN, "LAUNDRY", BY_HAND)
    with services.mlops.transaction() as cursor:
        cursor.execute("SELECT traceparent FROM task_confirmations")
        assert cursor.fetchall() == [(None,)]
    assert collected.spans == []
