"""What grows with every retraining goes after its time; what can be needed stays."""

import ast
import json
from copy import deepcopy
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.domain.blessing import Override, OverrideKind
from pipeline.domain.dataset_folder import face_vector
from pipeline.domain.errors import DatasetRefused, NotBlessed
from pipeline.domain.faces.looks import FaceLook, SeenRate
from pipeline.domain.faces.watching import FaceState
from pipeline.domain.lineage import Erased
from pipeline.domain.live_accuracy import LiveAccuracyPolicy, Observation, Tally
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.pruning import PruningPolicy
from pipeline.domain.retraining import RetrainingDecision
from pipeline.domain.transitions import By
from pipeline.ports.bundles import Forgetting, Pruning
from pipeline.ports.live import Look
from pipeline.steps.answer_held import approve_unless_pruned, refuse
from pipeline.steps.erase_photo import erase_photo
from pipeline.steps.prune import prune
from tests.builders import NOW, a_backlog, a_blessing, a_model_version, a_training_result
from tests.fakes.deployment import FakeTransitions, FakeVersions
from tests.fakes.events import FakeClock, FakeDecisions, FakeOutbox, FakeRetrainingRuns
from tests.fakes.faces import FakeFaceLooks
from tests.fakes.faults import Fault, Killed, every_fault
from tests.fakes.live import FakeReadings
from tests.fakes.training import FakeExperiment, FakeExperiments, FakeTrainingRuns
from tests.fakes.verification import FakeBlessings
from tests.unit.pipeline.steps.dataset_world import NO_FAULT
from tests.unit.pipeline.steps.dataset_world import World as DataWorld

LAUNDRY, FACE = ModelType.LAUNDRY, ModelType.FACE
LONG_AGO = NOW - timedelta(days=91)


class World(DataWorld):
    """Three datasets, each trained on by a run of its own, which left a model with caches."""

    def __init__(self):
        super().__init__()
        self.runs, self.training_runs = FakeRetrainingRuns(), FakeTrainingRuns()
        self.versions, self.blessings, self.readings = FakeVersions(), FakeBlessings(), FakeReadings()
        self.transitions = FakeTransitions(self.versions)
        self.decisions, self.experiments = FakeDecisions(), FakeExperiments()
        self.face_looks, self.outbox = FakeFaceLooks(), FakeOutbox()
        for number in (1, 2, 3):
            self.collect(run_id=f"run-{number}")
            self.prepare(run_id=f"run-{number}", uri=self.dataset(number))
            self.trained(f"run-{number}", number)

    def dataset(self, number):
        return f"s3://datasets/DS-2026-{number:03d}/"

    def trained(self, run_id, number):
        self.training_runs.succeed(a_training_result(run_id, dataset_id=f"DS-2026-{number:03d}"))
        manifest = json.dumps({"files": {"model.onnx": "a" * 64, "openvino/model.xml": "b" * 64}}).encode()
        kept = {"model.onnx": b"m", "openvino/model.xml": b"x", "manifest.json": manifest, "predictions.json": b"{}"}
        caches = {"features/a/train-0.npy": b"f", "activations/a/train-0.npy": b"a", "checkpoints/1/w": b"w"}
        for name, body in {**kept, **caches}.items():
            self.objects.write(f"s3://models/LAUNDRY/{run_id}/{name}", body)

    def pruning(self):
        return Pruning(
            datasets=self.datasets,
            erasures=self.erasures,
            training_runs=self.training_runs,
            runs=self.runs,
            versions=self.versions,
            blessings=self.blessings,
            transitions=self.transitions,
            readings=self.readings,
            decisions=self.decisions,
            face_looks=self.face_looks,
            outbox=self.outbox,
            experiments=self.experiments,
            objects=self.objects,
            clock=FakeClock(NOW),
            dataset_prefix="s3://datasets/",
            model_prefix="s3://models/",
        )

    def prune(self, fault=NO_FAULT, dry_run=False, model_type=LAUNDRY, **policy):
        policy = PruningPolicy(**{"keep_datasets": 2, **policy})
        return prune(fault.on_ports(self.pruning(), but=("clock",)), model_type, policy, dry_run=dry_run)

    def files(self, prefix):
        return {uri.removeprefix(prefix) for uri in self.objects.bodies if uri.startswith(prefix)}

    def model(self, run_id):
        return self.files(f"s3://models/LAUNDRY/{run_id}/")


def a_look(at):
    seen = Observation("v1.0.0", Tally(), Tally(), Tally())
    return Look(LAUNDRY, at, seen, LiveAccuracyPolicy().judge(seen, at), {}, "too few to say")


def a_face_look(at):
    rate = SeenRate(0, 0, 0, 0.0, 1.0)
    return FaceLook("v1.0.0", at, FaceState.OK, "rightly", rate, rate, "nothing was done", rate, rate)


REPORT, MODEL = {"predictions.json"}, {"model.onnx", "openvino/model.xml", "manifest.json"}
CACHES = {"features/a/train-0.npy", "activations/a/train-0.npy", "checkpoints/1/w"}


def test_images_and_caches_of_old_datasets_go_and_their_manifests_stay():
    world = World()
    whole = world.files(world.dataset(2))
    assert world.prune().datasets == ("DS-2026-001",)
    assert world.files(world.dataset(1)) == {name for name in whole if not name.startswith(("shards/", "dataset.json"))}
    assert "manifest.json" in world.files(world.dataset(1))
    assert world.model("run-1") == MODEL | REPORT
    assert (world.files(world.dataset(2)), world.model("run-2")) == (whole, MODEL | REPORT | CACHES)


def test_what_the_running_retraining_learns_from_stays_however_old():
    world = World()
    world.trained("retry-of-run-1", 1)
    world.runs.begin("retry-of-run-1", LAUNDRY, at=NOW)
    assert world.prune().datasets == ()
    assert world.model("run-1") >= CACHES


def test_a_pruned_dataset_is_refused_to_a_retry_with_what_to_do_and_photos_are_still_forgotten():
    world = World()
    task = world.manifest(world.dataset(1)).photos[0].task_id
    world.prune()
    with pytest.raises(DatasetRefused, match="start a retraining without naming a dataset"):
        world.reuse("DS-2026-001")
    forgetting = Forgetting(
        datasets=world.datasets,
        erasures=world.erasures,
        runs=world.training_runs,
        versions=world.versions,
        experiments=FakeExperiments(),
        augmenter=world.augmenter,
        photos=world.photos,
        printer=None,
        objects=world.objects,
        clock=FakeClock(),
        dataset_prefix="s3://datasets/",
        model_prefix="s3://models/",
    )
    erase_photo(forgetting, task, By("kim", "asked by the customer", "erasure"))
    assert not any(world.manifest(world.dataset(n)).names(task) for n in (1, 2, 3))


def test_what_a_killed_collection_of_faces_left_of_somebody_erased_goes_and_nobody_elses():
    world, (of_erased, of_another) = World(), (face_vector("s3://datasets/", "b" * 64, sha * 64) for sha in "cd")
    for vector in (of_erased, of_another):
        world.objects.write(vector, b"vector")
    world.erasures.record(Erased("person:1", ("c" * 64,), "kim", "withdrew", NOW))
    assert world.prune(dry_run=True).vectors == 1 and world.objects.exists(of_erased)
    world.prune()
    assert (world.objects.exists(of_erased), world.objects.exists(of_another)) == (False, True)


FORCED = Override("run-1", OverrideKind.FORCED, "kim", "needed now", LONG_AGO)
REFUSED_NOW = Override("run-1", OverrideKind.REFUSED, "kim", "a leak", NOW - timedelta(minutes=1))
REFUSED = Override("run-1", OverrideKind.REFUSED, "kim", "a leak", LONG_AGO)


@pytest.mark.parametrize(
    ("verdict", "goes"),
    [
        (a_blessing("run-1", accepted=False, reasons=("worse",), decided_at=LONG_AGO), True),
        (a_blessing("run-1", accepted=False, reasons=("worse",), decided_at=NOW - timedelta(days=89)), False),
        (a_blessing("run-1", accepted=False, reasons=("worse",), decided_at=LONG_AGO, override=FORCED), False),
        (a_blessing("run-1", accepted=False, held=True, doubts=("unsure",), decided_at=LONG_AGO), False),
        (a_blessing("run-1", accepted=False, held=True, decided_at=LONG_AGO, override=REFUSED), True),
        (a_blessing("run-1", accepted=False, held=True, decided_at=LONG_AGO, override=REFUSED_NOW), False),
        (a_blessing("run-1", decided_at=LONG_AGO), False),
        (None, False),
    ],
    ids=[
        "refused",
        "refused lately",
        "forced",
        "held",
        "refused by a person",
        "refused by a person lately",
        "accepted",
        "no verdict",
    ],
)
def test_only_a_model_that_was_refused_long_ago_goes_with_its_evidence_left(verdict, goes):
    world = World()
    if verdict:
        world.blessings.grant(verdict, None)
        if verdict.override:
            world.blessings.override(verdict.override)
    assert world.prune(keep_datasets=3).refused_runs == (("run-1",) if goes else ())
    assert world.model("run-1") == REPORT | (set() if goes else MODEL | CACHES)


KIM = By("kim", "looked at it", "approval")
FOREVER_AGO = NOW - timedelta(days=366)
UNSURE = a_blessing("run-1", accepted=False, held=True, doubts=("unsure",), decided_at=FOREVER_AGO)


@pytest.mark.parametrize("verdict", [None, UNSURE], ids=["never judged", "never answered"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_model_that_nobody_asks_for_any_more_goes_too(verdict, dry_run):
    world = World()
    world.training_runs.results["run-1"] = replace(world.training_runs.result("run-1"), trained_at=FOREVER_AGO)
    if verdict:
        world.blessings.grant(verdict, None)
    assert world.prune(keep_datasets=3, dry_run=dry_run).refused_runs == ("run-1",)
    assert world.model("run-1") == REPORT | (MODEL | CACHES if dry_run else set())


def test_a_model_whose_files_went_for_want_of_an_answer_is_not_approved_any_more_and_can_be_refused():
    world = World()
    world.blessings.grant(UNSURE, None)
    world.prune(keep_datasets=3)
    with pytest.raises(NotBlessed, match="^the files of run run-1 are gone, nobody answered .*: nothing to approve"):
        approve_unless_pruned(world.pruning(), "run-1", KIM)
    assert world.blessings.overrides == {}
    refuse("run-1", KIM, blessings=world.blessings, clock=FakeClock())
    with pytest.raises(NotBlessed, match="was refused by kim before"):
        approve_unless_pruned(world.pruning(), "run-1", KIM)


@pytest.mark.parametrize("at", range(1, 7))
def test_a_model_that_is_approved_while_it_is_pruned_keeps_its_files_or_is_not_approved(at):
    world = World()
    world.blessings.grant(UNSURE, None)

    def prune_unless_it_waits():
        if not world.transitions.held:
            world.prune(keep_datasets=3)

    try:
        fault = Fault(at=at, meanwhile=prune_unless_it_waits)
        approve_unless_pruned(fault.on_ports(world.pruning(), but=("clock",)), "run-1", KIM)
    except NotBlessed:
        assert world.blessings.overrides == {}
    else:
        assert world.model("run-1") >= MODEL
        world.prune(keep_datasets=3)
        assert world.model("run-1") >= MODEL


def test_a_registered_version_is_the_archives_business():
    world = World()
    world.blessings.grant(a_blessing("run-1", accepted=False, reasons=("worse",), decided_at=LONG_AGO), None)
    world.versions.register(a_model_version("v1.0.0", run_id="run-1"))
    assert world.prune(keep_datasets=3).refused_runs == ()


def test_a_refused_run_that_gets_a_number_while_it_is_pruned_keeps_its_files():
    world, forced = World(), a_model_version("v1.0.0", run_id="run-1")
    world.blessings.grant(a_blessing("run-1", accepted=False, reasons=("worse",), decided_at=LONG_AGO), None)
    listed = world.objects.list
    world.objects.list = lambda prefix: (world.versions.register(forced), listed(prefix))[1]
    world.prune(keep_datasets=3)
    assert world.model("run-1") == REPORT | MODEL | CACHES


def test_readings_are_forgotten_after_their_time_and_no_sooner():
    world = World()
    for days in (401, 399, 0):
        world.readings.record(a_look(at=NOW - timedelta(days=days)))
    assert world.prune().readings == 1
    assert [NOW - look.at for look in world.readings.looks] == [timedelta(days=399), timedelta(0)]


def test_decisions_against_a_retraining_are_forgotten_after_their_time_and_no_sooner():
    world = World()
    for days in (401, 399, 0):
        decision = RetrainingDecision(False, "too_few", f"{days} days ago", a_backlog())
        world.decisions.record(LAUNDRY, decision, at=NOW - timedelta(days=days), asked_by="the intake")
    assert world.prune().decisions == 1
    assert [decision.reason for _, decision, _ in world.decisions.recorded] == ["399 days ago", "0 days ago"]


def tracked(world, run_id, *days):
    for number, ago in enumerate(days):
        begun_at = NOW - timedelta(days=ago)
        world.experiments.opened[f"{run_id}/{number}"] = FakeExperiment(f"{run_id}/{number}", begun_at=begun_at)


def test_the_tracker_forgets_old_retrainings_but_those_of_a_version_and_the_running_one():
    world = World()
    for run_id, days in {"run-1": (401, 401), "run-2": (401, 399), "run-3": (401,), "run-4": (401,)}.items():
        tracked(world, run_id, *days)
    world.versions.register(a_model_version("v1.0.0", run_id="run-3"))
    world.runs.begin("run-4", LAUNDRY, at=NOW)
    assert world.prune().experiments == ("run-1",)
    assert {name.partition("/")[0] for name in world.experiments.opened} == {"run-2", "run-3", "run-4"}


def announced(world, event_id, days):
    world.outbox.add(OutgoingEvent(event_id, "ModelDeployedEvent", {}))
    world.outbox.mark_told(event_id)
    world.outbox.published[event_id] = NOW - timedelta(days=days)


def test_events_that_everybody_has_are_forgotten_after_their_time_and_no_sooner():
    world = World()
    for event_id, days in (("401 days ago", 401), ("399 days ago", 399), ("nobody was told", 401)):
        announced(world, event_id, days)
    world.outbox.told.remove("nobody was told")
    assert world.prune().events == 1
    assert set(world.outbox.events) == {"399 days ago", "nobody was told"}


def test_looks_at_faces_go_with_the_readings_of_faces_alone():
    world = World()
    for days in (401, 399):
        world.face_looks.record(a_face_look(at=NOW - timedelta(days=days)))
    assert [world.prune(model_type=of).readings for of in (LAUNDRY, FACE)] == [0, 1]
    assert [NOW - look.at for look in world.face_looks.looks] == [timedelta(days=399)]


def grown():
    """Something of everything is past its time."""
    world = refused()
    for model_type in (LAUNDRY, FACE):
        world.readings.record(replace(a_look(at=NOW - timedelta(days=401)), model_type=model_type))
        decision = RetrainingDecision(False, "too_few", "99 corrections, 100 needed", a_backlog())
        world.decisions.record(model_type, decision, at=NOW - timedelta(days=401), asked_by="the intake")
    world.face_looks.record(a_face_look(at=NOW - timedelta(days=401)))
    world.erasures.record(Erased("person:1", ("c" * 64,), "kim", "withdrew", NOW))
    world.objects.write(face_vector("s3://datasets/", "b" * 64, "c" * 64), b"vector")
    announced(world, "event-1", 401)
    tracked(world, "run-1", 401)
    return world


def kept(world):
    """Everything that any rule may touch."""
    ports = (world.objects, world.readings, world.decisions, world.face_looks, world.outbox, world.experiments)
    return deepcopy([vars(port) for port in ports])


def test_every_rule_has_something_to_throw_away_here():
    done = asdict(grown().prune())
    assert all(done.values()), f"nothing of {[name for name, gone in done.items() if not gone]} grew"


@pytest.mark.parametrize("model_type", [LAUNDRY, FACE])
def test_a_dry_run_says_the_same_and_touches_nothing(model_type):
    world, other = grown(), grown()
    before = kept(world)
    planned, done = (one.prune(dry_run=dry, model_type=model_type) for one, dry in ((world, True), (other, False)))
    assert planned == done and done.readings == (1 if model_type is LAUNDRY else 2)
    assert kept(world) == before != kept(other)
    assert world.prune(model_type=model_type) == done


def test_what_goes_by_its_age_goes_by_one_way_that_must_be_told_whether_it_is_a_dry_run():
    """The monitor forgot looks at faces by itself, whatever anybody asked."""
    asked, ports = set(), 0
    for path in Path("pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and {"before", "dry_run"} & {one.arg for one in node.keywords}:
                asked |= {str(path)} if getattr(node.func, "attr", "") == "forget" else set()
            if isinstance(node, ast.FunctionDef) and "before" in (names := [one.arg for one in node.args.kwonlyargs]):
                ports += 1
                assert node.args.kw_defaults[names.index("dry_run")] is None, f"{path}: {node.name} may not guess"
    assert asked == {"pipeline/steps/prune.py"} and ports >= 8


def refused():
    world = World()
    world.blessings.grant(a_blessing("run-1", accepted=False, reasons=("worse",), decided_at=LONG_AGO), None)
    return world


@pytest.mark.parametrize("fault", every_fault(lambda fault: refused().prune(fault)), ids=str)
def test_killed_at_any_call_and_run_again_it_ends_the_same(fault):
    world, undisturbed = refused(), refused()
    undisturbed.prune()
    with pytest.raises(Killed):
        world.prune(fault)
    world.prune()
    assert world.objects.bodies == undisturbed.objects.bodies
