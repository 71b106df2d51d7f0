"""A model type that is not complete does not exist: nobody trains one model's data as another's."""

import inspect
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from pipeline.__main__ import main
from pipeline.bootstrap import Asker, GiveUp, Pipeline, RollbackRequest
from pipeline.bootstrap.kinds import Kinds, model_types, served_types
from pipeline.bootstrap.watches import watched_types
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.models import ModelType
from pipeline.settings import Settings
from tests.unit.pipeline.steps.live_world import World

# What puts a model live that a command made, takes it back, and says what happened.
BY_HAND = {
    "hot_swap",
    "announce_failed_swap",
    "rollback_plan",
    "roll_back",
    "announce_failed_rollback",
    "complete_rollback",
    "reconcile",
    "history",
    # Nobody retrains it, and yet it is taken down when it is bad.
    "watch",
    "clear_freeze",
    # What is kept of its versions goes by the rules of any model.
    "prune",
    "retire",
    "restore",
    "proof",
}
VALUES = {
    "Asker": Asker("a test"),
    "RollbackRequest": RollbackRequest("previous", datetime(2026, 5, 4, 11, 30, tzinfo=UTC)),
    "TrainingResult": None,
}
OF_A_TYPE = sorted(
    name
    for name, method in inspect.getmembers(Pipeline, inspect.isfunction)
    if not name.startswith("_") and "model_type" in inspect.signature(method).parameters
)
OF_A_DATASET = {
    "validate": lambda p: p.validate("DS-2026-001"),
    "augment_slice": lambda p: p.augment_slice("DS-2026-001", 0),
    "assemble": lambda p: p.assemble("run-1", "DS-2026-001"),
    "train": lambda p: p.train("run-1", "DS-2026-001", print),
}


def asked(method, model_type):
    """Whatever else it wants to know."""
    wanted = [p for p in inspect.signature(method).parameters.values() if p.default is p.empty]
    values = [
        model_type if p.name == "model_type" else VALUES.get(getattr(p.annotation, "__name__", "str"), "v1.0.0")
        for p in wanted
    ]
    found = method(*values)
    return list(found) if inspect.isgenerator(found) else found


def of_datasets(*frozen):
    hyperparameters = Settings().hyperparameters
    datasets = SimpleNamespace(frozen=lambda: frozen)
    settings = SimpleNamespace(hyperparameters=hyperparameters)
    return Pipeline(SimpleNamespace(datasets=datasets, settings=settings, traces=Wiring(Settings()).traces))


@pytest.mark.parametrize("name", OF_A_TYPE)
def test_whatever_is_asked_about_what_is_no_type_is_refused(name):
    with pytest.raises(GiveUp, match="'CAR' is no model type; choose one of: LAUNDRY"):
        asked(getattr(Pipeline(Wiring(Settings())), name), "CAR")


@pytest.mark.parametrize("name", sorted(set(OF_A_TYPE) - BY_HAND))
def test_whatever_is_asked_about_a_type_that_is_not_complete_is_refused_but_what_people_do_by_hand(name):
    with pytest.raises(GiveUp, match="FACE models are not complete in this build.*; choose one of: LAUNDRY"):
        asked(getattr(Pipeline(Wiring(Settings())), name), "FACE")


# How a face champion is looked at needs its own confirmations (`test_live_pipeline.py`), what is kept of one its files
# (`steps/faces/test_keeping_faces.py`).
@pytest.mark.parametrize("name", sorted(BY_HAND - {"watch", "prune", "retire", "restore", "proof"}))
def test_what_people_do_by_hand_is_done_with_a_type_that_is_not_complete(name):
    settings = Settings()
    world = SimpleNamespace(**vars(World()), settings=settings, traces=Wiring(settings).traces)
    try:
        asked(getattr(Pipeline(world), name), "FACE")
    except GiveUp as refused:
        # There is no version yet.
        assert "not complete" not in str(refused)


def test_every_step_about_a_type_is_among_those():
    assert {"consider", "collect", "hot_swap", "roll_back", "watch", "lineage_of_model"} <= set(OF_A_TYPE)


@pytest.mark.parametrize("step", OF_A_DATASET)
def test_a_dataset_of_a_type_that_is_not_complete_is_learned_from_by_nobody(step):
    pipeline = of_datasets(("DS-2026-001", ModelType.FACE, "run-1"))
    with pytest.raises(GiveUp, match="FACE models are not complete"):
        OF_A_DATASET[step](pipeline)


@pytest.mark.parametrize("step", OF_A_DATASET)
def test_a_dataset_that_nobody_collected_is_named(step):
    with pytest.raises(GiveUp, match="no dataset 'DS-2026-001' was collected"):
        OF_A_DATASET[step](of_datasets(("DS-2026-002", ModelType.LAUNDRY, "run-1")))


def test_on_the_command_line_the_refusal_is_a_sentence():
    done = CliRunner().invoke(main, ["retrain", "--run-id", "r1", "--model-type", "FACE", "--force", "kim"])
    assert done.exit_code == 2
    said = " ".join(done.stderr.split())
    assert "FACE models are not complete in this build: none is retrained here or tried on few requests" in said
    assert "choose one of: LAUNDRY" in said


def test_a_row_more_and_a_type_is_complete(two_types):
    assert model_types() == ("LAUNDRY", "FACE")
    kinds = Kinds(Wiring(Settings()))
    assert kinds.of("FACE") is kinds.of("FACE") is not kinds.of("LAUNDRY")


def test_whatever_may_serve_is_watched(two_types):
    assert set(watched_types()) == set(served_types()) == {"LAUNDRY", "FACE"}


def test_a_kind_says_what_its_settings_say(monkeypatch):
    monkeypatch.setenv("RETRAIN_MIN_VALIDATION_ACCURACY", "0.9")
    settings = Settings()
    kind = Kinds(Wiring(settings)).of("LAUNDRY")
    assert kind.verification == settings.verification
    assert kind.recipe.labels == ("양호", "불량")
