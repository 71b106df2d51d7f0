"""Forgetting a photo, and asking what it shaped before."""

import base64
import copy
import functools
import hashlib
import json
import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.adapters.verification_report import HtmlReportPrinter
from pipeline.domain.artifact_folder import FLIPS, REPORT_PAGE
from pipeline.domain.dataset import Manifest, Split
from pipeline.domain.errors import DatasetRefused, GiveUp, PhotosErased, ServiceTooSlow, UnknownVersion
from pipeline.domain.models import ModelType
from pipeline.domain.training import Attempt, Hyperparameters
from pipeline.domain.transitions import By
from pipeline.ports.bundles import Records
from pipeline.steps.assemble import SHARDS_ON_CONTACT_SHEET, assemble
from pipeline.steps.augment import slices
from pipeline.steps.erase_photo import erase_photo
from pipeline.steps.realign_datasets import realign_datasets
from pipeline.steps.replay_erasures import replay_erasures
from pipeline.steps.stored_dataset import demand_whole, frozen_manifest
from pipeline.steps.trace_model import trace_model
from pipeline.steps.trace_task import trace_task
from tests.builders import a_model_version, a_task, a_training_result
from tests.fakes.deployment import FakeTransitions, FakeVersions
from tests.fakes.faces import FakeFaceConfirmations
from tests.fakes.faults import Both, Fault, Killed, every_fault
from tests.fakes.training import FakeExperiment, FakeExperiments, FakeTrainingRuns
from tests.unit.pipeline.steps.dataset_world import AUGMENTATION, LABELS, NO_FAULT, POLICY, URI, forgetting
from tests.unit.pipeline.steps.dataset_world import World as DataWorld

BY = By("kim", "asked by the customer", "erasure")
FEATURES = "s3://models/LAUNDRY/run-1/features/ResNet50-abc/train-00000000.npy"
SECOND = "s3://datasets/DS-2026-002/"


class World(DataWorld):
    """One dataset with a trained, registered model; a second one that is only collected."""

    def __init__(self):
        super().__init__()
        self.collect()
        self.validate()
        self.prepare()
        # A slice of one photo goes with it.
        self.collect(run_id="run-2", augmentation=replace(AUGMENTATION, photos_per_slice=11))
        self.runs, self.versions, self.experiments = FakeTrainingRuns(), FakeVersions(), FakeExperiments()
        for attempt in ("run-1/1", "run-1/2", "run-10/1"):
            self.experiments.opened[attempt] = FakeExperiment(attempt, files={"contact-sheet.png": b"old"})
        self.runs.succeed(a_training_result("run-1"))
        self.versions.register(a_model_version("v1.0.0", run_id="run-1", dataset_id="DS-2026-001"))
        self.objects.write(FEATURES, b"features")
        self.objects.write("s3://models/LAUNDRY/run-1/model.onnx", b"model")

    def task(self, split=Split.TRAIN):
        return self.manifest().of(split)[0].task_id

    def erase(self, task_id, fault=NO_FAULT, by=BY):
        bundle = forgetting(self, HtmlReportPrinter())
        safe = ("runs", "versions", "augmenter", "photos", "printer", "clock")
        return erase_photo(fault.on_ports(bundle, but=safe), task_id, by)

    def records(self):
        return Records(self.runs, self.datasets, self.versions, FakeTransitions(), self.objects, "s3://datasets/")

    def shards(self, uri=URI):
        index = json.loads(self.objects.read(f"{uri}dataset.json"))
        return [shard for split in ("train", "validation") for shard in index[split]]

    def everything(self):
        return b"\n".join(body for uri, body in sorted(self.objects.bodies.items()) if uri.startswith("s3://datasets/"))


def erased_with_a_fault(fault):
    a_world().erase("TASK-00099", fault)


@functools.cache
def _made():
    return World()


def a_world():
    """Each its own, made once."""
    return copy.deepcopy(_made())


@pytest.fixture
def world():
    return a_world()


@pytest.mark.parametrize("split", list(Split)[:3])
def test_no_object_of_any_dataset_names_the_photo_afterwards(world, split):
    task = world.task(split)
    assert task.encode() in world.everything()
    world.erase(task)
    assert task.encode() not in world.everything()


def test_the_dataset_stays_usable_with_hashes_and_counts_that_are_true(world):
    before, task = world.datasets.get("DS-2026-001"), world.task()
    world.erase(task)
    after = world.datasets.get("DS-2026-001")
    assert after.train_count == before.train_count - 5
    assert after.sha256 == hashlib.sha256(world.objects.read(f"{URI}dataset.json")).hexdigest()
    for shard in world.shards():
        assert hashlib.sha256(world.objects.read(shard["uri"])).hexdigest() == shard["sha256"]
    assert world.objects.list(f"{URI}shards/") == sorted(shard["uri"] for shard in world.shards())
    for dataset_id, uri in (("DS-2026-001", URI), ("DS-2026-002", SECOND)):
        manifest = hashlib.sha256(world.objects.read(f"{uri}manifest.json")).hexdigest()
        assert world.datasets.frozen_sha256(dataset_id) == manifest


def test_the_other_images_stay_as_they_were(world):
    task = world.task()
    before = [image for shard in world.shards() for image in json.loads(world.objects.read(shard["uri"]))["images"]]
    world.erase(task)
    after = [image for shard in world.shards() for image in json.loads(world.objects.read(shard["uri"]))["images"]]
    assert after == [image for image in before if image[0] != task]


def test_caches_and_pages_that_may_show_it_are_gone_and_models_are_kept(world):
    found = world.erase(world.task())
    assert FEATURES in found.deleted and f"{URI}data-report.html" in found.deleted
    assert not world.objects.list(f"{URI}data-docs/")
    assert world.objects.exists("s3://models/LAUNDRY/run-1/model.onnx")
    assert found.models == ["LAUNDRY v1.0.0 learned from it"]
    sheet = world.objects.read(f"{URI}contact-sheet.png")
    assert [world.experiments.opened[f"run-1/{n}"].files["contact-sheet.png"] for n in (1, 2)] == [sheet, sheet]
    assert world.experiments.opened["run-10/1"].files["contact-sheet.png"] == b"old"


ORIGINAL = "the original s3://tasks/{}.jpg belongs to the Helper service: delete it there"
GOLDEN = "s3://models/LAUNDRY/run-1/ may hold it, 224 pixels wide, among its golden samples"


@pytest.mark.parametrize(
    ("manifest", "left"),
    [
        (b'{"extra": {"golden_source": "scikit-learn"}}', [ORIGINAL]),
        (b"{}", [GOLDEN, ORIGINAL]),
        (None, [GOLDEN, ORIGINAL]),
    ],
    ids=["no photos in the model", "a model of an earlier release", "a model that is archived"],
)
def test_what_is_left_to_people_is_said(world, manifest, left):
    if manifest:
        world.objects.write("s3://models/LAUNDRY/run-1/manifest.json", manifest)
    task = world.task(Split.VALIDATION)
    assert world.erase(task).left == [line.format(task) for line in left]


def test_later_selections_go_without_it(world):
    task = world.task()
    world.erase(task)
    world.collect(run_id="run-3")
    assert not world.manifest("s3://datasets/DS-2026-003/").names(task)


def test_a_held_out_photo_stays_held_out_after_it_is_forgotten(world):
    task = world.task(Split.HOLDOUT)
    cluster = next(p.cluster_id for p in world.manifest().photos if p.task_id == task)
    world.erase(task)
    (member,) = [m for m in world.datasets.holdout(ModelType.LAUNDRY) if m.task_id == task]
    assert (member.cluster_id, member.sha256) == (cluster, "")


def test_a_photo_that_was_set_aside_is_forgotten_too(world):
    task = world.source.rows[0]
    del world.photos.bodies[task.photo_url]
    world.collect(run_id="run-3")
    third = "s3://datasets/DS-2026-003/"
    assert [q.task_id for q in world.manifest(third).quarantined] == [task.task_id]
    assert f"{third}manifest.json" in world.erase(task.task_id).rewritten
    assert not world.manifest(third).names(task.task_id)


@pytest.mark.parametrize("by", [replace(BY, actor=" "), replace(BY, reason="")])
def test_somebody_answers_for_what_is_gone_for_ever(world, by):
    task = world.task()
    with pytest.raises(GiveUp, match="an erasure needs an actor and a reason"):
        world.erase(task, by=by)
    assert world.task() == task and world.erasures.all() == []


def test_a_task_that_no_dataset_has_yet_is_remembered_and_never_collected(world):
    late = a_task(99, corrected=True, label="불량")
    found = world.erase(late.task_id)
    assert found.left == [f"no dataset has task {late.task_id!r}: it is remembered, and none will; is the id right?"]
    world.source.rows.append(late)
    world.photos.bodies[late.photo_url] = b"photo of tomorrow"
    world.collect(run_id="run-3")
    assert not world.manifest("s3://datasets/DS-2026-003/").names(late.task_id)


def collected_with(fault):
    a_world().collect(fault, run_id="run-3")


def anything(world):
    """Every object's bytes, and every row that says where a photo was used."""
    rows = [repr(row) for row in world.datasets.appearances() if row.sha256]
    return world.everything() + "".join(rows).encode()


@pytest.mark.parametrize("at", [fault.at for fault in every_fault(collected_with) if not fault.after])
def test_a_collection_during_which_a_photo_is_erased_ends_without_it(at):
    world = a_world()
    task = world.task()
    assert task.encode() in anything(world)
    world.collect(Fault(at, meanwhile=lambda: world.erase(task)), run_id="run-3")
    assert task.encode() not in anything(world)
    assert len(world.manifest("s3://datasets/DS-2026-003/").photos) > 20


@pytest.mark.parametrize("at", [fault.at for fault in every_fault(erased_with_a_fault) if not fault.after])
def test_a_dataset_that_is_collected_during_an_erasure_is_without_the_photo(at):
    world = a_world()
    late = a_task(99, corrected=True, label="불량")
    world.source.rows.append(late)
    world.photos.bodies[late.photo_url] = b"photo of tomorrow"
    world.erase(late.task_id, Fault(at, meanwhile=lambda: world.collect(run_id="run-3")))
    assert late.task_id.encode() not in anything(world)
    copy_ = a_task(100, corrected=True, label="불량")
    world.source.rows.append(copy_)
    world.photos.bodies[copy_.photo_url] = b"photo of tomorrow"
    world.collect(run_id="run-4")
    seen = world.datasets.appearances(task_id=late.task_id)
    assert world.manifest("s3://datasets/DS-2026-004/").names(copy_.task_id) is not bool(seen)


def a_verdict(world, *wrong):
    """Photos that only the champion judged right, as verification leaves them."""
    photos = {p.task_id: world.photos.bodies[p.photo_url] for p in world.manifest().natural}
    said = [{"task_id": t, "label": "양호", "predicted": "양호"} for t in photos]
    ours = [row | {"predicted": "불량"} if row["task_id"] in wrong else row for row in said]
    kept = {"validation": ours, "holdout": [], "champion_validation": said, "champion_holdout": []}
    sheet = HtmlReportPrinter().contact_sheet([(t, photos[t]) for t in photos if t in wrong])
    files = {
        "predictions.json": json.dumps(kept).encode(),
        FLIPS: sheet,
        REPORT_PAGE: b"<img src='data:image/png;base64," + base64.b64encode(sheet) + b"'>",
    }
    for name, body in files.items():
        world.objects.write(f"s3://models/LAUNDRY/run-1/{name}", body)
    world.experiments.opened["run-1/2"].files |= {FLIPS: sheet, REPORT_PAGE: files[REPORT_PAGE]}
    return sheet


def pictures(world):
    """Every place where the photos that became wrong are shown."""
    attached, folder = world.experiments.opened["run-1/2"].files, "s3://models/LAUNDRY/run-1/"
    pages = [world.objects.read(f"{folder}{REPORT_PAGE}"), attached[REPORT_PAGE]]
    return {world.objects.read(f"{folder}{FLIPS}"), attached[FLIPS], *(embedded(page) for page in pages)}


def embedded(page):
    return base64.b64decode(page.partition(b"base64,")[2].rstrip(b"'>"))


def test_a_verdict_shows_the_other_photos_that_became_wrong_and_not_this_one(world):
    first, second = (p.task_id for p in world.manifest().of(Split.VALIDATION)[:2])
    before = a_verdict(world, first, second)
    world.erase(first)
    url = next(p.photo_url for p in world.manifest().natural if p.task_id == second)
    alone = HtmlReportPrinter().contact_sheet([(second, world.photos.bodies[url])])
    assert pictures(world) == {alone} != {before}


def test_a_verdict_that_did_not_show_it_stays_as_it_is(world):
    first, second = (p.task_id for p in world.manifest().of(Split.VALIDATION)[:2])
    before = a_verdict(world, second)
    found = world.erase(first)
    assert pictures(world) == {before}
    assert not any(FLIPS in uri or REPORT_PAGE in uri for uri in found.rewritten)


def collect_in_part(world, run_id="run-3"):
    """A collection that is killed just before its selection is frozen; where that lies."""
    freeze, world.datasets.freeze = world.datasets.freeze, killed
    with pytest.raises(Killed):
        world.collect(run_id=run_id)
    world.datasets.freeze = freeze
    return "s3://datasets/DS-2026-003/"


def killed(*given):
    raise Killed("before the row is written")


def test_a_selection_that_was_never_frozen_goes_with_a_copy_of_the_photo_too(world):
    """Under another task, which no table knows yet."""
    first = world.task()
    row = next(task for task in world.source.rows if task.task_id == first)
    other = replace(row, task_id="TASK-09999", photo_url="s3://tasks/other.jpg")
    world.source.rows = [task for task in world.source.rows if task.task_id != first] + [other]
    world.photos.bodies[other.photo_url] = world.photos.bodies[row.photo_url]
    begun = collect_in_part(world)
    assert world.manifest(begun).names(other.task_id)
    world.erase(first)
    assert not [uri for uri in world.objects.bodies if uri.startswith(begun)]


@pytest.mark.parametrize("moment", ["exists", "read"])
def test_a_selection_that_is_made_anew_while_the_old_one_is_taken_away_can_be_used(world, moment):
    begun = collect_in_part(world)
    erased = world.manifest(begun).photos[0].task_id
    plain, again = getattr(world.objects, moment), []

    def meanwhile(uri, *given):
        if uri.startswith(begun) and not again:
            again.append(uri)
            found = plain(uri, *given) if moment == "read" else None
            world.collect(run_id="run-3")
            return plain(uri, *given) if found is None else found
        return plain(uri, *given)

    setattr(world.objects, moment, meanwhile)
    world.erase(erased)
    assert again
    assert world.collect(run_id="run-3") == "DS-2026-003" and not world.manifest(begun).names(erased)


def test_a_selection_that_is_frozen_while_the_old_one_is_deleted_can_be_used(world):
    begun, asked = collect_in_part(world), threading.Event()
    erased = world.manifest(begun).photos[0].task_id
    freeze, delete = world.datasets.freeze, world.objects.delete
    again = threading.Thread(target=world.collect, kwargs={"run_id": "run-3"})

    def asked_to_freeze(*given):
        asked.set()
        freeze(*given)

    def meanwhile(uri):
        if uri.startswith(begun) and not asked.is_set():
            again.start()
            assert asked.wait(60)
        delete(uri)

    world.datasets.freeze, world.objects.delete = asked_to_freeze, meanwhile
    world.erase(erased)
    again.join(60)
    assert world.collect(run_id="run-3") == "DS-2026-003" and not world.manifest(begun).names(erased)


def test_again_it_changes_nothing(world):
    task = world.task()
    world.erase(task)
    before = dict(world.objects.bodies)
    again = world.erase(task)
    assert world.objects.bodies == before
    assert (again.rewritten, again.deleted) == ([], [])


def a_judged_world():
    """And the photo to forget, which became wrong."""
    world = a_world()
    task = world.task(Split.VALIDATION)
    a_verdict(world, task)
    return world, task


def erased_with(fault):
    world, task = a_judged_world()
    world.erase(task, fault)


@pytest.mark.parametrize("fault", every_fault(erased_with), ids=str)
def test_killed_at_any_call_and_run_again_it_ends_the_same(fault):
    (world, task), (undisturbed, _) = a_judged_world(), a_judged_world()
    undisturbed.erase(task)
    with pytest.raises(Killed):
        world.erase(task, fault)
    world.erase(task)
    assert world.objects.bodies == undisturbed.objects.bodies
    assert (world.datasets, world.experiments) == (undisturbed.datasets, undisturbed.experiments)


COPIES = "s3://datasets/first-model/"


@functools.cache
def _with_copies():
    world = a_world()
    for n, label, photo in ((97, "불량", "used"), (98, "불량", "disputed"), (99, "양호", "disputed")):
        row = replace(a_task(n, corrected=True, label=label), photo_url=f"{COPIES}{photo}.jpg")
        world.source.rows.append(row)
        world.photos.bodies[row.photo_url] = f"{photo} by many".encode()
        world.objects.write(row.photo_url, world.photos.bodies[row.photo_url])
    world.collect(run_id="run-3")
    manifest = world.manifest("s3://datasets/DS-2026-003/")
    assert "TASK-00097" in {p.task_id for p in manifest.photos}
    assert "TASK-00098" in {q.task_id for q in manifest.quarantined}
    return world


def without_a_copy(fault, task="TASK-00097"):
    """Forgotten with the fault, and once more; the copies of the first model's photos that are left."""
    world = copy.deepcopy(_with_copies())
    try:
        world.erase(task, fault)
    except Killed:
        world.erase(task)
    return world.objects.list(COPIES)


@pytest.mark.parametrize("fault", every_fault(without_a_copy), ids=str)
def test_killed_at_any_call_and_run_again_our_copy_is_gone(fault):
    assert without_a_copy(fault) == [f"{COPIES}disputed.jpg"]


def test_our_copy_of_a_photo_that_was_only_set_aside_is_gone_too():
    assert without_a_copy(NO_FAULT, "TASK-00098") == [f"{COPIES}used.jpg"]


@pytest.mark.parametrize("fault", every_fault(functools.partial(without_a_copy, task="TASK-00098")), ids=str)
def test_killed_at_any_call_and_run_again_two_tasks_with_one_copy_are_forgotten(fault):
    assert without_a_copy(fault, "TASK-00098") == [f"{COPIES}used.jpg"]


def one_of_each_side():
    """Bytes that fall to each side of the split, as the fake inspector sees them."""
    bodies = [f"shown by many {n}".encode() for n in range(200)]
    sides = {POLICY.split_of(hashlib.sha256(body).hexdigest()[:16]): body for body in bodies}
    return [sides[split] for split in (Split.TRAIN, Split.VALIDATION, Split.HOLDOUT)]


SHOWN = one_of_each_side()


def a_task_that_shows(n, body, label, place):
    """The first model's photos lie under their hash, as the bucket has them; the Helper's each under its own name."""
    task = a_task(n, corrected=True, label=label)
    ours = f"{COPIES}{hashlib.sha256(body).hexdigest()}{place}"
    return task if place == "helper" else replace(task, photo_url=ours)


@settings(max_examples=40)
@given(
    tasks=st.lists(
        st.tuples(st.sampled_from(SHOWN), st.sampled_from(LABELS), st.sampled_from([".jpg", ".png", "helper"])),
        min_size=1,
        max_size=6,
    ),
    which=st.integers(0, 5),
)
@example(tasks=[(SHOWN[2], "양호", ".jpg")] * 2, which=0)
@example(tasks=[(SHOWN[2], "양호", ".jpg")] * 2, which=1)
@example(tasks=[(SHOWN[0], "양호", "helper")] * 2, which=1)
def test_who_shows_the_photo_is_forgotten_with_it_and_every_other_one_keeps_its_copy(tasks, which):
    world, bodies = a_world(), {}
    for n, (body, label, place) in enumerate(tasks, 100):
        task = a_task_that_shows(n, body, label, place)
        world.source.rows.append(task)
        world.photos.bodies[task.photo_url], bodies[task.task_id] = body, body
        world.objects.write(task.photo_url, body)
    world.collect(run_id="run-3")
    asked = list(bodies)[which % len(bodies)]
    found = world.erase(asked)
    alike = {task for task, body in bodies.items() if body == bodies[asked]}
    assert {asked, *found.twins} == alike
    assert not [task for task in alike if task.encode() in anything(world)]
    ours = {uri: world.objects.read(uri) for uri in world.objects.list(COPIES)}
    still = {body for (body, _, place) in tasks if place != "helper" and body != bodies[asked]}
    assert set(ours.values()) == still
    world.collect(run_id="run-4")
    later = world.manifest("s3://datasets/DS-2026-004/")
    assert later.task_ids >= bodies.keys() - alike and not later.task_ids & alike


def test_of_photos_that_nobody_could_read_one_is_no_twin_of_another(world):
    rows = [replace(a_task(n), photo_url="unknown") for n in (98, 99)]
    world.source.rows += rows
    world.collect(run_id="run-3")
    assert world.erase("TASK-00098").twins == []
    assert world.manifest("s3://datasets/DS-2026-003/").names("TASK-00099")


def test_a_shard_that_was_changed_is_not_made_true_by_erasing(world):
    shard = world.shards()[0]["uri"]
    world.objects.write(shard, world.objects.read(shard).replace(b'"seed": 7', b'"seed": 8'))
    with pytest.raises(DatasetRefused, match="train-00000.parquet is not what was recorded"):
        world.erase(world.task())


def test_an_index_that_was_changed_is_not_made_true_by_erasing(world):
    world.objects.write(f"{URI}dataset.json", world.objects.read(f"{URI}dataset.json") + b" ")
    with pytest.raises(DatasetRefused, match=r"dataset.json is not what was recorded"):
        world.erase(world.task())


# While a dataset is being made


def tried_again(task):
    """As Airflow does it: that task alone, and three times more."""
    for _ in range(3):
        with suppress(PhotosErased, Killed):
            return task()
    return task()


def made_while(fault, at=0, which=0):
    """The second dataset made, and the photo erased meanwhile; its slices are counted at the beginning."""
    world = a_world()
    task = world.manifest(SECOND).of(Split.TRAIN)[which].task_id
    if at:
        fault = Both(Fault(at, meanwhile=lambda: world.erase(task)), fault)
    for index in range(len(slices(world.manifest(SECOND)))):
        tried_again(lambda index=index: world.augment(index, fault, SECOND))
    tried_again(lambda: assemble(world.images(fault), "run-2", SECOND))
    return world, task


CALLS = every_fault(made_while)[-1].at


def test_the_last_slice_has_one_photo(world):
    assert [len(photos) for split, photos in slices(world.manifest(SECOND)) if split is Split.TRAIN][-1] == 1


def demand_made_without(task, world):
    left = {uri: body for uri, body in world.objects.bodies.items() if uri.startswith(SECOND)}
    assert not [uri for uri, body in left.items() if task.encode() in body]
    demand_whole(world.datasets.get("DS-2026-002"), world.objects)
    shards = [world.objects.read(shard["uri"]) for shard in world.shards(SECOND)]
    assert world.objects.list(f"{SECOND}shards/") == sorted(shard["uri"] for shard in world.shards(SECOND))
    shown = {image[0] for shard in shards for image in json.loads(shard)["images"]}
    manifest = world.manifest(SECOND)
    assert shown == {p.task_id for p in (*manifest.of(Split.TRAIN), *manifest.of(Split.VALIDATION))}
    assert left[f"{SECOND}contact-sheet.png"] == world.augmenter.contact_sheet(shards[:SHARDS_ON_CONTACT_SHEET], LABELS)


@pytest.mark.parametrize("at", range(1, CALLS + 1))
def test_a_photo_erased_at_any_moment_while_its_dataset_is_made_is_not_in_it_and_the_run_goes_on(at):
    world, task = made_while(NO_FAULT, at)
    demand_made_without(task, world)


@given(at=st.integers(1, CALLS), later=st.integers(0, 12), after=st.booleans(), which=st.sampled_from([0, -1]))
@example(at=15, later=1, after=False, which=-1)
@settings(max_examples=60)
def test_nor_when_a_task_is_killed_besides(at, later, after, which):
    world, task = made_while(Fault(at + later, after), at, which)
    demand_made_without(task, world)


# Lineage


def learned_from_again(world, run_id="retry-of-run-1"):
    """Another run on the same dataset, with a model and caches of its own."""
    attempt = f"{run_id}/1"
    world.experiments.opened[attempt] = FakeExperiment(attempt, files={"contact-sheet.png": b"old"})
    result = a_training_result(run_id, dataset_id="DS-2026-001")
    world.runs.succeed(result)
    world.versions.register(a_model_version("v1.0.1", run_id=run_id, dataset_id="DS-2026-001"))
    caches = [f"s3://models/LAUNDRY/{run_id}/{what}/ResNet50-abc.npz" for what in ("features", "activations")]
    for uri in caches:
        world.objects.write(uri, b"of every photo")
    return caches


def test_what_a_retry_on_the_same_dataset_kept_of_the_photo_is_forgotten_too(world):
    caches = learned_from_again(world)
    found = world.erase(world.task())
    assert not any(world.objects.exists(uri) for uri in caches)
    sheets = {world.experiments.opened[run].files["contact-sheet.png"] for run in ("run-1/2", "retry-of-run-1/1")}
    assert sheets == {world.objects.read(f"{URI}contact-sheet.png")}
    assert found.models == ["LAUNDRY v1.0.0 learned from it", "LAUNDRY v1.0.1 learned from it"]


def test_caches_of_a_run_that_never_came_to_a_model_are_forgotten_too(world):
    cache = "s3://models/LAUNDRY/failed/features/ResNet50-abc/train-00000000.npy"
    world.runs.record("failed", "DS-2026-001", Attempt(1, Hyperparameters(), "diverged"))
    world.objects.write(cache, b"of every photo")
    world.erase(world.task())
    assert not world.objects.exists(cache)


def test_a_dataset_whose_assembly_was_killed_before_its_row_is_made_again_without_the_photo(world):
    task = world.task()
    world.datasets.completed.clear()
    world.erase(task)
    assert not world.objects.exists(f"{URI}dataset.json") and world.objects.list(f"{URI}shards/") == []
    assert world.prepare().id == "DS-2026-001"
    assert task.encode() not in world.everything()


def test_a_task_leads_to_every_model_that_was_made_of_its_dataset(world):
    learned_from_again(world)
    found = trace_task(world.records(), world.task())
    assert [(use.run_id, use.version.version) for use in found if use.version] == [
        ("run-1", "v1.0.0"),
        ("retry-of-run-1", "v1.0.1"),
    ]


def uses(world, task):
    found = trace_task(world.records(), task)
    return [(u.appearance.dataset_id, u.role, u.trained, u.version and u.version.version) for u in found]


def test_a_task_leads_to_the_datasets_and_models_it_shaped(world):
    task = world.task()
    expected = [("DS-2026-001", "learned from", True, "v1.0.0"), ("DS-2026-002", "learned from", False, None)]
    assert uses(world, task) == expected
    assert uses(world, world.task(Split.HOLDOUT))[0][1] == "judged by"
    assert uses(world, "TASK-404") == []


def test_it_still_does_after_the_photo_was_forgotten(world):
    task = world.task()
    before = uses(world, task)
    world.erase(task)
    assert uses(world, task) == before


def test_a_model_leads_to_its_photos(world):
    origin = trace_model(world.records(), ModelType.LAUNDRY, "v1.0.0")
    assert (origin.version.version, {p.dataset_id for p in origin.photos}) == ("v1.0.0", {origin.version.dataset_id})
    assert {p.task_id for p in origin.photos} == {p.task_id for p in world.manifest().photos}
    with pytest.raises(UnknownVersion, match="no version 'v9'"):
        trace_model(world.records(), ModelType.LAUNDRY, "v9")


@pytest.mark.parametrize("lost", ["all of it", "its end"])
def test_a_database_restored_to_before_an_erasure_lets_the_next_photo_go_and_others_be_trained_on(world, lost):
    before, first = copy.deepcopy(world.datasets), world.task()
    killed = (
        every_fault(lambda fault: world_erased(copy.deepcopy(world), first, fault))[::8] if lost == "its end" else ()
    )
    assert lost == "all of it" or len(killed) > 3
    for fault in killed or [NO_FAULT]:
        restored = copy.deepcopy(world)
        world_erased(restored, first, fault)
        since = restored.erasures.all()
        restored.datasets.__dict__.update(copy.deepcopy(before).__dict__)
        replay_erasures(since, restored.erasures, FakeFaceConfirmations(restored.datasets))
        realign_datasets(restored.datasets, restored.erasures, restored.objects, "s3://datasets/")
        restored.erase(restored.task(Split.VALIDATION))
        restored.erase(first)
        dataset = restored.datasets.get("DS-2026-001")
        demand_whole(dataset, restored.objects)
        frozen_manifest(dataset, restored.datasets, restored.objects)
        assert first.encode() not in restored.everything()


def world_erased(world, task_id, fault):
    with suppress(Killed):
        world.erase(task_id, fault)
    return fault


def test_what_differs_by_more_than_an_erasure_is_not_taken_for_one(world):
    first, other = world.task(), world.task(Split.HOLDOUT)
    world.erase(first)
    world.objects.write(f"{URI}manifest.json", world.manifest().without(other).to_json(), "application/json")
    assert realign_datasets(world.datasets, world.erasures, world.objects, "s3://datasets/") == []
    assert world.datasets.frozen_sha256("DS-2026-001") != world.manifest().sha256


def test_a_dataset_that_is_refused_keeps_no_other_from_going_without_the_photo(world):
    task = world.task()
    world.objects.write(f"{URI}dataset.json", b'{"train": [], "validation": []}', "application/json")
    with pytest.raises(DatasetRefused, match=r"everything else is done; .*dataset.json .* erase '.*' once more"):
        world.erase(task)
    assert task not in Manifest.from_json(world.objects.read(f"{SECOND}manifest.json")).task_ids
    assert not any(row.sha256 for row in world.datasets.appearances(task_id=task))


def test_nor_does_a_dataset_have_it_that_a_restored_database_lost(world):
    task = world.task()
    world.restore_database()
    world.objects.write("s3://datasets/DS-2026-250/manifest.json", world.manifest().to_json(), "application/json")
    world.erase(task)
    assert task.encode() not in world.everything()
    # Under their numbers nothing is left that nobody names.
    assert [uri for uri in world.objects.bodies if "/DS-2026-" in uri] == []


def test_texts_that_cannot_be_looked_through_in_time_keep_no_row_of_the_photo_and_people_are_told(world, monkeypatch):
    task = world.task()
    (address,) = world.erasures.addresses(task)

    def strike(_):
        raise ServiceTooSlow("the mlops database", "canceling statement")

    monkeypatch.setattr(world.erasures, "strike", strike)
    done = world.erase(task)
    assert not world.erasures.addresses(task) and done.rows["dataset_photos"]
    assert any("may still name " + address in one for one in done.left)
