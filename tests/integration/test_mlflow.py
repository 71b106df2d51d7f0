"""Experiments and registered models on a real MLflow server."""

import json
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import RestException
from mlflow.models import ModelSignature

from include.stack import runner
from pipeline.adapters import mlflow_registry
from pipeline.adapters.mlflow_registry import MlflowExperiments, MlflowModelRegistry
from pipeline.domain.errors import (
    ExperimentDeleted,
    ExperimentRunDeleted,
    ServiceRefused,
    ServiceUnavailable,
    TrainingInterrupted,
)
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import Registration
from pipeline.steps.register import register
from tests.builders import MANIFEST, NOW, a_blessing, a_model_version, a_training_result
from tests.contract.test_fleet import until_ready
from tests.fakes.data import FakeObjects
from tests.fakes.deployment import FakeTransitions, FakeVersions
from tests.fakes.training import FakeTrainingRuns
from tests.fakes.verification import FakeBlessings
from tests.integration.test_after_live import World
from tests.waiting import until

pytestmark = pytest.mark.integration

LAUNDRY, FACE = ModelType.LAUNDRY, ModelType.FACE


@pytest.fixture(scope="module")
def url(running_services):
    stack = running_services.stack
    runner.up(stack.root, lambda text: None, ["postgres", "s3", "mlflow"])
    return f"http://127.0.0.1:{stack.port('mlflow')}"


@pytest.fixture
def client(url):
    """Without a registered model."""
    made = MlflowClient(tracking_uri=url)
    for model in made.search_registered_models():
        made.delete_registered_model(model.name)
    return made


@pytest.fixture
def registry(url, client):
    return MlflowModelRegistry(url)


def aliases(client):
    """Our version numbers by alias."""
    found = client.get_registered_model("laundry").aliases
    return {alias: client.get_model_version("laundry", n).tags["retraining.version"] for alias, n in found.items()}


def test_a_version_is_registered_once_as_candidate(client, registry):
    for _ in range(2):
        registry.register(a_model_version("v1.0.0"), None)
    (version,) = client.search_model_versions("name = 'laundry'")
    assert version.source == "s3://models/LAUNDRY/run-of-v1.0.0/"
    assert version.tags["dataset_id"] == "DS-2026-001"
    assert (version.tags["accuracy"], version.tags["trainer_val_accuracy"]) == ("0.9500", "0.9300")
    assert aliases(client) == {"candidate": "v1.0.0"}


def test_the_aliases_say_what_the_log_says(client, registry):
    for version in ("v1.0.0", "v1.1.0"):
        registry.register(a_model_version(version), None)
    registry.mirror(LAUNDRY, champion="v1.1.0", previous="v1.0.0", since=NOW)
    assert aliases(client) == {"champion": "v1.1.0", "previous": "v1.0.0"}
    later = NOW + timedelta(hours=1)
    for since in (NOW, later):
        registry.mirror(LAUNDRY, champion="v1.0.0", previous="v1.1.0", since=since)
    assert aliases(client) == {"champion": "v1.0.0", "previous": "v1.1.0"}
    champion = client.get_model_version_by_alias("laundry", "champion")
    assert champion.tags["promoted_at"] == f"{later.timestamp():.3f}"


def test_an_attempt_keeps_parameters_curves_and_files(url, client):
    with MlflowExperiments(url).attempt(LAUNDRY, "run-1", 1) as experiment:
        experiment.log_parameters({"batch_size": "32"})
        for epoch in (1, 2, 3):
            experiment.log_metrics({"val_loss": 1 / epoch}, step=epoch)
        experiment.log_file("curves.png", b"\x89PNG")
    run = client.get_run(experiment.id)
    assert (run.info.status, run.data.params) == ("FINISHED", {"batch_size": "32"})
    assert [(m.step, m.value) for m in client.get_metric_history(experiment.id, "val_loss")] == [
        (1, 1.0),
        (2, 0.5),
        (3, pytest.approx(1 / 3)),
    ]
    assert [f.path for f in client.list_artifacts(experiment.id)] == ["curves.png"]


def test_an_attempt_that_fails_is_marked_and_the_next_try_goes_on_with_the_same_run(url, client):
    experiments = MlflowExperiments(url)
    with pytest.raises(RuntimeError), experiments.attempt(LAUNDRY, "run-2", 1) as first:
        raise RuntimeError("killed")
    assert client.get_run(first.id).info.status == "FAILED"
    with experiments.attempt(LAUNDRY, "run-2", 1) as again:
        assert client.get_run(again.id).info.status == "RUNNING"
    assert again.id == first.id


def children(client, parent):
    return client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")


def test_attempts_are_nested_in_the_run_of_their_retraining_which_the_link_shows(url, client):
    experiments = MlflowExperiments(url)
    with pytest.raises(RuntimeError), experiments.attempt(LAUNDRY, "run-3", 1) as first:
        first.note({"cause": "diverged", "change": "learning rate 0.001 → 0.0001"})
        raise RuntimeError("diverged")
    with experiments.attempt(LAUNDRY, "run-3", 2):
        pass
    parent = client.get_run(experiments.link(LAUNDRY, "run-3").rsplit("/", 1)[1])
    assert (parent.info.run_name, parent.info.status) == ("run-3", "FINISHED")
    nested = {run.info.run_name: run for run in children(client, parent)}
    assert {name: run.info.status for name, run in nested.items()} == {
        "run-3 attempt 1": "FAILED",
        "run-3 attempt 2": "FINISHED",
    }
    assert nested["run-3 attempt 1"].data.tags["retraining.change"] == "learning rate 0.001 → 0.0001"


def test_a_run_that_starts_anew_gets_new_attempts_whose_parameters_may_differ(url, client):
    experiments = MlflowExperiments(url)
    with experiments.attempt(LAUNDRY, "run-6", 1) as before:
        before.log_parameters({"batch_size": "32"})
    experiments.set_aside(LAUNDRY, "run-6")
    with experiments.attempt(LAUNDRY, "run-6", 1) as anew:
        anew.log_parameters({"batch_size": "16"})
    assert client.get_run(before.id).data.params == {"batch_size": "32"}
    assert client.get_run(anew.id).data.params == {"batch_size": "16"}


def test_a_file_is_replaced_in_every_attempt_that_attached_it_whatever_became_of_it(url, client):
    experiments, had = MlflowExperiments(url), []
    for run_id in ("run-7", "run-70"):
        with experiments.attempt(LAUNDRY, run_id, 1) as attempt:
            attempt.log_file("sheet.png", b"old")
        had.append(attempt.id)
    experiments.set_aside(LAUNDRY, "run-7")
    with pytest.raises(RuntimeError), experiments.attempt(LAUNDRY, "run-7", 1) as failed:
        failed.log_file("sheet.png", b"old")
        raise RuntimeError("out of memory")
    with experiments.attempt(LAUNDRY, "run-7", 2) as without:
        pass
    client.delete_run(failed.id)
    changed = experiments.replace_file(LAUNDRY, "run-7", "sheet.png", b"new")
    assert sorted(changed) == sorted([had[0], failed.id]) and without.id not in changed
    client.restore_run(failed.id)
    for attempt_id, body in ((had[0], b"new"), (failed.id, b"new"), (had[1], b"old")):
        assert Path(client.download_artifacts(attempt_id, "sheet.png")).read_bytes() == body
    with experiments.attempt(LAUNDRY, "run-70", 1) as attempt:
        attempt.log_file("sheet.png", b"")
    assert Path(client.download_artifacts(had[1], "sheet.png")).read_bytes() == b""


def test_a_retraining_goes_into_the_trackers_bin_with_all_its_attempts_once_all_are_old(url, client):
    experiments, began = MlflowExperiments(url), NOW + timedelta(days=365 * 50)
    for run_id in ("run-9", "run-90"):
        with experiments.attempt(LAUNDRY, run_id, 1) as attempt:
            pass
    experiments.set_aside(LAUNDRY, "run-9")
    with pytest.raises(RuntimeError), experiments.attempt(LAUNDRY, "run-9", 1):
        raise RuntimeError("out of memory")
    later = client.get_run(attempt.id).info.start_time / 1000
    between = datetime.fromtimestamp(later, UTC)
    assert not {"run-9", "run-90"} & set(experiments.begun_before(LAUNDRY, between))
    assert {"run-9", "run-90"} <= set(experiments.begun_before(LAUNDRY, began))
    # Each with the run that its attempts are nested in.
    assert experiments.delete(LAUNDRY, "run-9") == 4
    assert "run-9" not in experiments.begun_before(LAUNDRY, began)
    assert experiments.delete(LAUNDRY, "run-9") == 0
    assert client.get_run(attempt.id).info.lifecycle_stage == "active"


def test_a_tracker_without_an_experiment_has_nothing_old(url):
    assert list(MlflowExperiments(url).begun_before(FACE, NOW)) == []


def test_an_attempt_that_was_interrupted_says_so_and_one_whose_process_died_is_closed_by_the_next(url, client):
    experiments = MlflowExperiments(url)
    with pytest.raises(TrainingInterrupted), experiments.attempt(LAUNDRY, "run-4", 1) as first:
        raise TrainingInterrupted
    assert client.get_run(first.id).info.status == "KILLED"
    client.update_run(first.id, status="RUNNING")
    with experiments.attempt(LAUNDRY, "run-4", 2):
        assert client.get_run(first.id).info.status == "FAILED"


def test_memory_and_processor_are_measured_while_an_attempt_runs(url, client, monkeypatch):
    monkeypatch.setattr(mlflow_registry, "_SYSTEM_SAMPLE_SECONDS", 0.2)
    with MlflowExperiments(url).attempt(LAUNDRY, "run-5", 1) as experiment:
        until(lambda: "system/system_memory_usage_megabytes" in client.get_run(experiment.id).data.metrics, "a sample")


def test_while_mlflow_is_down_nothing_is_half_registered_and_later_it_succeeds(
    running_services, client, registry, monkeypatch
):
    # Its client tries again by itself; how often is no matter here.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    version = a_model_version("v1.0.0")
    experiments = MlflowExperiments(registry._mlflow.url)
    calls = (
        lambda: registry.register(version, None),
        lambda: registry.missing([version]),
        lambda: registry.mirror(LAUNDRY, champion="v1.0.0", previous=None, since=NOW),
        lambda: experiments.attach("0" * 32, {"report.html": b""}, {}),
        lambda: experiments.attempt(LAUNDRY, "run-1", 1).__enter__(),
    )
    with running_services.without("mlflow"):
        for call in calls:
            with pytest.raises(ServiceUnavailable, match="MLflow is unavailable"):
                call()
    with pytest.raises(RestException):
        client.get_registered_model("laundry")
    registry.register(version, None)
    assert aliases(client) == {"candidate": "v1.0.0"}


def test_tags_say_what_the_model_takes_and_mlflow_reads_its_signature(client, registry):
    result = a_training_result("run-1")
    blessings, objects = FakeBlessings(), FakeObjects({f"{result.artifact_uri}manifest.json": MANIFEST})
    blessings.granted["run-1"] = a_blessing("run-1")
    tags = {"git_commit": "abc", "code_version": "def"}
    registration = Registration(
        FakeVersions(), FakeTransitions(), FakeTrainingRuns(), blessings, registry, objects, tags
    )
    for _ in range(2):
        register(registration, LAUNDRY, result)
    (version,) = client.search_model_versions("name = 'laundry'")
    assert {"git_commit", "code_version", "dataset_id", "retraining.run_id"} <= set(version.tags)
    signature = ModelSignature.from_dict(json.loads(version.tags["signature"]))
    assert [t.shape for t in signature.inputs.inputs] == [(-1, 224, 224, 3)]
    assert signature.outputs.input_names() == ["probabilities", "features"]


def test_broken_aliases_are_mended(client, registry):
    for version in ("v1.0.0", "v1.1.0", "v1.2.0"):
        registry.register(a_model_version(version), None)
    registry.mirror(LAUNDRY, champion="v1.1.0", previous="v1.0.0", since=NOW)
    client.set_registered_model_alias("laundry", "champion", "3")
    client.delete_registered_model_alias("laundry", "previous")
    registry.mirror(LAUNDRY, champion="v1.1.0", previous="v1.0.0", since=NOW)
    assert aliases(client) == {"champion": "v1.1.0", "previous": "v1.0.0", "candidate": "v1.2.0"}


def test_what_a_person_deleted_is_found_missing(client, registry):
    first, second = a_model_version("v1.0.0"), a_model_version("v1.1.0")
    assert registry.missing([first, second]) == [first, second]
    registry.register(first, None)
    assert registry.missing([first, second]) == [second]
    client.delete_registered_model("laundry")
    assert registry.missing([first]) == [first]


def test_the_report_is_attached_to_the_run_and_has_an_address(url, client):
    experiments = MlflowExperiments(url)
    with experiments.attempt(LAUNDRY, "run-3", 1) as experiment:
        experiment.log_parameters({"batch_size": "32"})
    files = {"verification-report.html": "<h1>양호</h1>".encode(), "verification-report.json": b"{}"}
    for _ in range(2):
        address = experiments.attach(experiment.id, files, {"verify.holdout_accuracy": 0.95})
    assert address.startswith(url) and address.endswith(f"{experiment.id}/artifacts/verification-report.html")
    assert {f.path for f in client.list_artifacts(experiment.id)} == set(files)
    run = client.get_run(experiment.id)
    assert (run.data.metrics["verify.holdout_accuracy"], run.info.status) == (0.95, "FINISHED")


@pytest.mark.parametrize("run", ["deleted", "0" * 32])
def test_a_run_that_a_person_deleted_does_not_stop_the_verdict(url, client, run):
    experiments = MlflowExperiments(url)
    if run == "deleted":
        with experiments.attempt(LAUNDRY, "run-4", 1) as experiment:
            run = experiment.id
        client.delete_run(run)
    assert experiments.attach(run, {"verification-report.html": b""}, {}) == ""


def test_what_a_person_deleted_what_is_refused_and_what_is_away_are_told_apart(
    url, client, running_services, monkeypatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    experiments = MlflowExperiments(url)
    with experiments.attempt(FACE, "run-6", 1) as experiment:
        with pytest.raises(ServiceRefused, match="MLflow refuses the request: .*Invalid"):
            experiment.log_parameters({"a name\twith a tab": "1"})
        client.delete_run(experiment.id)
        for call in (
            lambda: experiment.log_parameters({"late": "1"}),
            lambda: experiment.log_metrics({"late": 1.0}),
            lambda: experiment.note({"late": "1"}),
        ):
            with pytest.raises(ExperimentRunDeleted, match=f"mlflow runs restore --run-id {experiment.id}"):
                call()
        with running_services.without("mlflow"), pytest.raises(ServiceUnavailable, match="MLflow is unavailable"):
            experiment.log_metrics({"late": 1.0})
    client.delete_experiment(experiment.experiment_id)
    restore = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
    for call in (
        lambda: experiments.link(FACE, "run-6"),
        lambda: experiments.set_aside(FACE, "run-6"),
        lambda: experiments.attempt(FACE, "run-7", 1).__enter__(),
    ):
        with pytest.raises(ExperimentDeleted, match=restore):
            call()
    assert experiments.replace_file(FACE, "run-6", "curves.png", b"") == []
    client.restore_experiment(experiment.experiment_id)
    with experiments.attempt(FACE, "run-7", 1):
        pass


def test_an_outage_while_an_attempt_is_closed_leaves_its_own_error(url, running_services, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    opened = MlflowExperiments(url).attempt(LAUNDRY, "run-8", 1)
    with ExitStack() as later, pytest.raises(RuntimeError, match="out of memory"), opened:
        later.enter_context(running_services.without("mlflow"))
        raise RuntimeError("out of memory")


def test_aliases_follow_a_rollback_that_was_incomplete_and_what_people_removed_comes_back(
    services, client, registry, tmp_path
):
    """Log, replicas and registry together: one replica dies and returns old, a person deletes the registered model."""
    world = World(services, tmp_path)
    world.registry = registry
    world.live("v1.0.0", "v1.1.0")
    assert aliases(client) == {"champion": "v1.1.0", "previous": "v1.0.0"}
    world.replicas.stop_one()
    world.roll_back("one")
    assert aliases(client) == {"champion": "v1.0.0"}
    client.delete_registered_model("laundry")
    world.replicas.start_one()
    until_ready(world.replicas)
    done = world.reconcile()
    assert (done.repaired, done.registered, done.missing) == ((world.replicas.gone,), ("v1.0.0",), {})
    assert (world.serving(), world.ledger.incomplete) == ({"v1.0.0"}, None)
    assert aliases(client) == {"champion": "v1.0.0"}
    world.replicas.close()


def test_links_name_the_address_that_people_use(url):
    experiments = MlflowExperiments(url, "https://mlflow.example.com/")
    with experiments.attempt(LAUNDRY, "run-linked", 1) as experiment:
        pass
    assert experiments.link(LAUNDRY, "run-linked").startswith("https://mlflow.example.com/#/experiments/")
    assert experiments.attach(experiment.id, {"a.txt": b"a"}, {}).startswith(
        "https://mlflow.example.com/#/experiments/"
    )
