"""Register, hot swap, roll back, reconcile: one champion, said the same everywhere."""

import dataclasses
import json

import pytest

from pipeline.domain.errors import (
    ModelRefused,
    NotBlessed,
    RegistryBehind,
    ServiceRefused,
    ServiceUnavailable,
    StaleTransition,
    Unconfirmed,
    UnknownVersion,
)
from pipeline.domain.models import Status
from pipeline.domain.transitions import Phase
from tests.builders import MANIFEST, a_dataset, a_training_result
from tests.fakes.faults import Killed, every_fault
from tests.unit.pipeline.steps.live_world import LAUNDRY, World


def registered(*runs):
    """Versions of `runs`, each accepted against the one before."""
    world = World()
    against = None
    for run in runs:
        world.accept(run, against=against)
        against = world.register(run)
    return world


def deployed(*runs):
    world = registered(*runs)
    for number in range(len(runs)):
        world.hot_swap(f"v1.{number}.0")
    return world


# Register


def test_versions_count_architecture_data_and_hyperparameters():
    world = deployed("first")
    for run in ("more-data", "other-network", "retry-of-refused", "another-retry"):
        world.accept(run)
    assert world.register("more-data") == "v1.1.0"
    assert world.register("other-network", backbone="EfficientNetLite0") == "v2.0.0"
    world.trained.succeed(a_training_result("refused", dataset_id="DS-3"))
    assert world.register("retry-of-refused", dataset="DS-3") == "v1.2.1"
    assert world.register("another-retry", dataset="DS-3") == "v1.2.2"


def test_a_number_goes_on_in_the_line_of_the_champion_even_when_another_network_was_tried_meanwhile():
    world = deployed("first")
    for run in ("other-network", "more-data"):
        world.accept(run)
    assert world.register("other-network", backbone="EfficientNetLite0") == "v2.0.0"
    assert world.register("more-data") == "v1.1.0"


@pytest.mark.parametrize("verdict", ["refused", "none"])
def test_only_an_accepted_run_gets_a_version(verdict):
    world = World()
    if verdict == "refused":
        world.accept("run-1", accepted=False)
    with pytest.raises(NotBlessed, match="was not accepted by verification"):
        world.register("run-1")
    assert world.versions.rows == {} and world.registry.registered == []


def test_the_registry_shows_what_the_model_takes_and_gives_and_which_code_made_it():
    tags = registered("first").registry.tags["v1.0.0"]
    assert (tags["engines"], tags["labels"], tags["git_commit"]) == ("onnxruntime, openvino", "양호, 불량", "abc")
    (images,) = json.loads(json.loads(tags["signature"])["inputs"])
    assert images["tensor-spec"] == {"dtype": "uint8", "shape": [-1, 224, 224, 3]}


@pytest.mark.parametrize(("manifest", "complaint"), [(None, "is gone"), (b"{}", "is not what was recorded")])
def test_a_model_without_its_files_is_not_registered(manifest, complaint):
    world = accepted()
    world.objects.bodies = {uri: manifest for uri in world.objects.bodies if manifest}
    with pytest.raises(ModelRefused, match=complaint):
        world.register("run-1")
    assert world.versions.rows == {} and world.registry.registered == []


def test_another_training_on_the_same_photos_is_a_patch():
    world = registered("first")
    world.accept("tuned")
    world.objects.write("s3://models/LAUNDRY/tuned/manifest.json", MANIFEST)
    assert world.register("tuned", dataset="dataset-of-first") == "v1.0.1"


def accepted():
    world = World()
    world.accept("run-1")
    return world


@pytest.mark.parametrize("fault", every_fault(lambda fault: accepted().register("run-1", fault)), ids=str)
def test_registering_killed_at_any_call_gives_one_version(fault):
    world = accepted()
    with pytest.raises(Killed):
        world.register("run-1", fault)
    assert world.register("run-1") == "v1.0.0"
    assert len(world.versions.rows) == 1
    assert world.registry.aliases[LAUNDRY]["candidate"] == "v1.0.0"


# Hot swap


def test_after_a_hot_swap_everything_names_the_new_champion_and_the_event_is_on_its_way():
    world = deployed("first", "second")
    world.demand_one_story("v1.1.0")
    assert world.registry.aliases[LAUNDRY]["previous"] == "v1.0.0"
    event = world.outbox.pending()[-1]
    assert event.type == "ModelDeployedEvent"
    assert (event.payload["modelVersion"], event.payload["previousVersion"]) == ("v1.1.0", "v1.0.0")


def test_the_event_says_until_when_the_new_champion_has_learned_if_that_is_known():
    world = registered("first", "second")
    world.hot_swap("v1.0.0")
    dataset_id = world.versions.get(LAUNDRY, "v1.1.0").dataset_id
    world.versions.datasets.completed[dataset_id] = a_dataset(id=dataset_id)
    world.hot_swap("v1.1.0")
    told = [event.payload.get("correctionsThrough") for event in world.outbox.pending()]
    assert told == [None, "2026-05-04T12:00:00.000Z"]


def test_event_table_and_registry_tell_the_verdicts_accuracy_not_the_trainers():
    """One model once had five: 0.9883 in the event, 0.9699 in the registry, 0.9669 in the verdict."""
    world = World()
    world.accept("run-1")
    version = world.register("run-1", accuracy=0.9883, val_accuracy=0.9699)
    world.hot_swap(version)
    verdict = world.blessings.of_run("run-1").accuracy
    assert verdict == 0.94
    assert world.outbox.pending()[-1].payload["accuracy"] == verdict
    row = world.versions.get(LAUNDRY, version)
    assert (row.accuracy, row.val_accuracy) == (verdict, 0.9699)
    assert world.registry.accuracies[version] == verdict


def test_a_verdict_without_an_accuracy_gives_no_version():
    world = World()
    world.accept("run-1")
    world.blessings.granted["run-1"] = dataclasses.replace(world.blessings.granted["run-1"], checks=())
    with pytest.raises(NotBlessed, match="no verdict on run run-1 says how accurate it is"):
        world.register("run-1")


def test_a_model_the_replicas_refuse_leaves_the_old_champion_serving():
    world = registered("first", "second")
    world.hot_swap("v1.0.0")
    world.fleet.refuses.add("v1.1.0")
    with pytest.raises(ModelRefused, match="golden predictions differ"):
        world.hot_swap("v1.1.0")
    world.demand_one_story("v1.0.0")
    last = world.ledger.entries[-1]
    assert last.phase is Phase.FAILED
    assert "golden predictions differ" in last.detail


def test_replicas_out_of_reach_are_worth_another_try():
    world = registered("first")
    world.fleet.down = {"replica-2"}
    with pytest.raises(ServiceUnavailable):
        world.hot_swap("v1.0.0")
    world.fleet.down = set()
    world.hot_swap("v1.0.0")
    world.demand_one_story("v1.0.0")


def test_a_verdict_on_other_files_does_not_let_a_version_live():
    world = registered("first")
    world.accept("first", manifest_sha256="b" * 64)
    with pytest.raises(NotBlessed, match="about other files"):
        world.hot_swap("v1.0.0")
    assert world.fleet.swaps == []
    assert world.ledger.entries == ()


def test_a_plan_against_an_older_champion_is_stale():
    """A rollback during a retraining: what was verified against v1.1.0 must not replace v1.0.0."""
    world = deployed("first", "second")
    world.accept("third", against="v1.1.0")
    version = world.register("third")
    world.roll_back()
    with pytest.raises(
        StaleTransition, match=r"v1\.0\.0 serves now, .* train again with \*force\* and its \*dataset_id\*"
    ):
        world.hot_swap(version)
    world.demand_one_story("v1.0.0")


def test_a_replica_that_forgot_to_switch_is_not_called_deployed():
    world = registered("first")
    world.fleet.forgets = {"replica-1"}
    with pytest.raises(Unconfirmed, match="replica-1 serves None"):
        world.hot_swap("v1.0.0")
    assert world.champion() is None


@pytest.mark.parametrize("fault", every_fault(lambda fault: registered("first").hot_swap("v1.0.0", fault)), ids=str)
def test_a_hot_swap_killed_at_any_call_and_run_again_deploys_once(fault):
    world = registered("first")
    with pytest.raises(Killed):
        world.hot_swap("v1.0.0", fault)
    world.hot_swap("v1.0.0")
    world.demand_one_story("v1.0.0")
    assert len(world.ledger.changes) == 1
    assert world.outbox.types() == ["ModelDeployedEvent"]


# Roll back


def test_previous_means_the_version_that_served_before():
    world = deployed("first", "second")
    world.roll_back()
    world.demand_one_story("v1.0.0")
    event = world.outbox.pending()[-1]
    assert event.type == "ModelRolledBackEvent"
    assert (event.payload["rolledBackFrom"], event.payload["reason"]) == ("v1.1.0", "too strict")


def test_forward_again_is_a_rollback_to_the_newer_version():
    world = deployed("first", "second")
    world.roll_back(request="back")
    world.roll_back("v1.1.0", request="forth")
    world.demand_one_story("v1.1.0")


def test_the_same_request_rolls_back_once():
    world = deployed("first", "second")
    world.roll_back(request="once")
    world.roll_back(request="once")
    world.demand_one_story("v1.0.0")


@pytest.mark.parametrize(
    ("target", "complaint"),
    [("v1.1.0", "serves already"), ("v9.9.9", "never served"), ("'; DROP TABLE", "never served")],
)
def test_a_target_that_makes_no_sense_is_refused_with_a_sentence(target, complaint):
    with pytest.raises(UnknownVersion, match=complaint):
        deployed("first", "second").roll_back(target)


def test_the_only_version_has_no_previous_one():
    with pytest.raises(UnknownVersion, match="no previous one"):
        deployed("first").roll_back()


def test_an_archived_version_must_be_restored_first():
    world = deployed("first", "second")
    world.archive_by_the_log("v1.0.0")
    with pytest.raises(UnknownVersion, match="archived: restore it"):
        world.roll_back()


@pytest.mark.parametrize(
    "fault", every_fault(lambda fault: deployed("first", "second").roll_back(fault=fault)), ids=str
)
def test_a_rollback_killed_at_any_call_and_asked_again_happens_once(fault):
    world = deployed("first", "second")
    with pytest.raises(Killed):
        world.roll_back(fault=fault)
    world.roll_back()
    world.demand_one_story("v1.0.0")
    assert world.outbox.types().count("ModelRolledBackEvent") == 1


# Reconcile


def test_a_replica_that_serves_something_else_is_brought_back_to_the_log():
    world = deployed("first", "second")
    world.fleet.put_back(LAUNDRY, "v1.0.0", ["replica-2"])
    assert world.reconcile().repaired == ("replica-2",)
    world.demand_one_story("v1.1.0")


def test_reconciling_what_agrees_swaps_nothing():
    world = deployed("first", "second")
    before = list(world.fleet.swaps)
    assert world.reconcile().repaired == ()
    assert world.fleet.swaps == before


def test_rows_that_contradict_the_log_are_put_right():
    world = deployed("first", "second")
    for version, status in (("v1.0.0", Status.ACTIVE), ("v1.1.0", Status.CANDIDATE)):
        row = world.versions.rows[LAUNDRY, version]
        world.versions.rows[LAUNDRY, version] = dataclasses.replace(row, status=status)
    assert world.reconcile().rows == ("v1.0.0", "v1.1.0")
    world.demand_one_story("v1.1.0")
    assert world.reconcile().rows == ()


@pytest.mark.parametrize("fault", [ServiceUnavailable, ServiceRefused])
def test_a_version_that_serves_while_the_registry_is_away_is_said_to_serve_and_reconciled(fault):
    world = deployed("first")
    version = world.candidate("second")

    def away(*args, **named):
        raise fault("MLflow", "connection refused")

    mirror, world.registry.mirror = world.registry.mirror, away
    with pytest.raises(RegistryBehind, match=r"^v1.1.0 went live on every replica; the registry is behind \(MLflow .*"):
        world.hot_swap(version)
    assert world.champion() == "v1.1.0"
    world.registry.mirror = mirror
    world.reconcile()
    world.demand_one_story("v1.1.0")


def test_what_the_registry_forgot_is_registered_again_and_named():
    world = deployed("first", "second")
    world.registry.registered.clear()
    world.registry.aliases.clear()
    assert world.reconcile().registered == ("v1.0.0", "v1.1.0")
    assert world.registry.aliases[LAUNDRY] == {"champion": "v1.1.0", "previous": "v1.0.0"}


def test_before_any_deployment_there_is_nothing_to_reconcile():
    assert World().reconcile().champion is None


@pytest.mark.parametrize(
    "fault", every_fault(lambda fault: deployed("first", "second").roll_back(fault=fault)), ids=str
)
def test_after_a_rollback_killed_at_any_call_reconciling_alone_restores_one_story(fault):
    world = deployed("first", "second")
    with pytest.raises(Killed):
        world.roll_back(fault=fault)
    world.reconcile()
    world.demand_one_story(world.champion())
