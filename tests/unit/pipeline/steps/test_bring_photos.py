"""Photos that a person labelled become the dataset of the first model: all of them, and copies of our own."""

from dataclasses import replace

import pytest

from pipeline.adapters.labelled_tasks import AndFirstPhotos, LabelledTasks
from pipeline.adapters.verification_report import HtmlReportPrinter
from pipeline.domain.checksums import sha256
from pipeline.domain.dataset import Split
from pipeline.domain.errors import DatasetRefused, GiveUp, ServiceUnavailable
from pipeline.domain.events import EARLIEST, ENGLISH
from pipeline.domain.learned import Learned
from pipeline.domain.lineage import Erased
from pipeline.domain.models import ModelType
from pipeline.domain.selection import Recipe
from pipeline.domain.transitions import By
from pipeline.ports.bundles import Forgetting
from pipeline.ports.first_photos import FirstPhotos
from pipeline.steps.bring_photos import bring_photos
from pipeline.steps.collect import collect
from pipeline.steps.erase_photo import erase_photo
from tests.builders import NOW, a_model_version, a_task
from tests.fakes.data import FakeCorrectionSource, FakeFolder
from tests.fakes.deployment import FakeVersions
from tests.fakes.events import FakeClock
from tests.fakes.faults import Fault, Killed, every_fault
from tests.fakes.training import FakeExperiments, FakeTrainingRuns
from tests.unit.pipeline.steps.dataset_world import AUGMENTATION, LABELS, NO_FAULT, POLICY
from tests.unit.pipeline.steps.dataset_world import World as DataWorld

LAUNDRY = ModelType.LAUNDRY
COPIES = "s3://datasets/first-model/"
_SAFE = ("folder",)


class World(DataWorld):
    """So many photos of each label in a folder, and no model."""

    def __init__(self, photos=30):
        super().__init__()
        self.versions, self.heard = FakeVersions(), []
        names = [f"{word}/{n:02d}.JPG" for word in ("good", "불량") for n in range(photos)]
        self.folder = FakeFolder({name: f"photo {name}".encode() for name in names})

    def bring(self, fault=NO_FAULT, run_id="first-laundry"):
        first = FirstPhotos(self.folder, self.objects, self.versions, self.erasures, ENGLISH, COPIES)
        tasks = bring_photos(fault.on_ports(first, but=_SAFE), run_id, LAUNDRY, lambda *heard: self.heard.append(heard))
        self.photos.bodies |= {t.photo_url: self.objects.bodies[t.photo_url] for t in tasks if not t.fault}
        return tasks

    def collect_first(self):
        tasks = self.bring()
        recipe = Recipe(LABELS, POLICY.of_everything(len(tasks)), AUGMENTATION)
        sources = replace(self.sources(), source=LabelledTasks(tasks), recipe=recipe)
        return collect(sources, "first-laundry", LAUNDRY, learned=Learned())

    def copies(self):
        return self.objects.list(COPIES)

    def copies_of(self, name):
        return self.objects.list(f"{COPIES}{sha256(self.folder.bodies[name])}")

    def erase(self, name):
        forgetting = Forgetting(
            datasets=self.datasets,
            erasures=self.erasures,
            runs=FakeTrainingRuns(),
            versions=self.versions,
            experiments=FakeExperiments(),
            augmenter=self.augmenter,
            photos=self.photos,
            printer=HtmlReportPrinter(),
            objects=self.objects,
            clock=FakeClock(),
            dataset_prefix="s3://datasets/",
            model_prefix="s3://models/",
        )
        return erase_photo(forgetting, f"first:{name}", By("kim", "asked by the customer", "erasure"))


@pytest.fixture
def world():
    return World()


def test_every_photo_is_copied_once_under_its_hash_and_people_hear_how_far_it_is(world):
    world.folder.bodies["good/again.jpg"] = world.folder.bodies["good/00.JPG"]
    tasks = world.bring()
    assert len(tasks) == 61 and len(world.copies()) == 60
    assert all(uri.endswith(".jpg") for uri in world.copies())
    assert world.heard[-1] == (61, 61) and len(world.heard) == 61
    before = dict(world.objects.bodies)
    assert world.bring() == tasks and world.objects.bodies == before


def test_every_labelled_photo_is_in_the_dataset_with_its_label(world):
    world.collect_first()
    manifest = world.manifest()
    assert {p.task_id: p.label for p in manifest.photos} == {
        f"first:{name}": "양호" if name.startswith("good") else "불량" for name in world.folder.bodies
    }
    assert {p.split for p in manifest.photos} == {Split.TRAIN, Split.VALIDATION, Split.HOLDOUT}
    assert not any(p.corrected for p in manifest.photos)


def test_what_cannot_be_read_is_set_aside_with_its_reason(world):
    world.folder.broken["good/00.JPG"] = "good/00.JPG cannot be read: Permission denied"
    world.collect_first()
    (aside,) = world.manifest().quarantined
    assert (aside.task_id, aside.reason) == ("first:good/00.JPG", "good/00.JPG cannot be read: Permission denied")


class Failing(FakeFolder):
    """A bucket that fails on these, whenever it is asked."""

    names_of = frozenset()

    def read(self, name):
        if name in self.names_of:
            raise ServiceUnavailable("S3", "Internal Server Error")
        return super().read(name)


def test_a_photo_that_storage_fails_on_by_itself_is_set_aside_and_an_outage_ends_the_try(world):
    world.folder = Failing(world.folder.bodies)
    world.folder.names_of = {"good/00.JPG"}
    world.collect_first()
    (aside,) = world.manifest().quarantined
    assert aside.task_id == "first:good/00.JPG"
    assert aside.reason == "S3 is unavailable: Internal Server Error, for this photo alone"
    assert len(world.manifest().photos) == 59
    world.folder.names_of = {*world.folder.bodies}
    with pytest.raises(ServiceUnavailable):
        world.bring()


def test_a_photo_whose_name_is_not_utf_8_is_set_aside_by_itself(world):
    name = f"good/{'사진'.encode('cp949').decode(errors='surrogateescape')}.jpg"
    world.folder.bodies[name] = b"photo from an older Windows"
    world.collect_first()
    (aside,) = world.manifest().quarantined
    assert aside.task_id.startswith(r"first:good/\udcbb") and "is not UTF-8" in aside.reason
    assert len(world.manifest().photos) == 60


def test_a_later_model_is_judged_on_and_learns_what_the_first_one_was_made_of(world):
    world.collect_first()
    world.validate()
    first = world.manifest()
    erased = first.of(Split.TRAIN)[0]
    world.erasures.record(Erased(erased.task_id, (erased.sha256,), "kim", "asked", NOW))
    world.source = AndFirstPhotos(world.source, world.datasets, LAUNDRY)
    world.collect(run_id="later", since=EARLIEST, policy=replace(POLICY, min_train_photos=1000))
    later = world.manifest("s3://datasets/DS-2026-002/")
    for split, left_out in ((Split.TRAIN, {erased.task_id}), (Split.HOLDOUT, set())):
        of_first = {p.task_id: (p.label, p.sha256) for p in first.of(split) if p.task_id not in left_out}
        assert of_first.items() <= {p.task_id: (p.label, p.sha256) for p in later.of(split)}.items()
    assert not any(p.task_id.startswith("first:") for p in later.of(Split.VALIDATION))
    world.source = AndFirstPhotos(FakeCorrectionSource(), world.datasets, LAUNDRY)
    with pytest.raises(DatasetRefused, match="no confirmed tasks in the Helper database"):
        world.collect(run_id="without confirmations")


def its_photo_is_missing(world, task):
    return task, b""


def its_label_is_none(world, task):
    return replace(task, final_result="?"), b"photo of a garment"


def it_was_erased(world, task):
    world.erasures.record(Erased(task.task_id, (), "kim", "asked", NOW))
    return task, b"photo of a garment"


def its_bytes_were_erased(world, task):
    world.erasures.record(Erased("another", (sha256(b"photo of a garment"),), "kim", "asked", NOW))
    return task, b"photo of a garment"


def it_shows_what_is_held_out(world, task):
    held = world.manifest().of(Split.HOLDOUT)[0]
    return replace(task, final_result=held.label), world.photos.bodies[held.photo_url]


def it_contradicts_the_first_photos(world, task):
    first = world.manifest().of(Split.TRAIN)[0]
    return replace(task, final_result=next(n for n in LABELS if n != first.label)), world.photos.bodies[first.photo_url]


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (its_photo_is_missing, "none of 1 confirmed tasks can be used: TASK-00099: no photo at its address"),
        (its_label_is_none, "none of 1 confirmed tasks can be used: TASK-00099: "),
        (it_was_erased, "no confirmed tasks in the Helper database"),
        (its_bytes_were_erased, "none of 1 confirmed tasks can be used: their photos were erased, or others chosen"),
        (it_shows_what_is_held_out, "none of 1 confirmed tasks can be used: TASK-00099: shows what"),
        (it_contradicts_the_first_photos, "none of 1 confirmed tasks can be used: TASK-00099: the same photo was"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_retraining_for_which_no_confirmed_task_can_be_used_takes_the_first_models_place_nowhere(world, why, told):
    world.collect_first()
    world.validate()
    before = world.datasets.first_photos(LAUNDRY)
    task, body = why(world, a_task(99))
    if body:
        world.photos.bodies[task.photo_url] = body
    world.source = AndFirstPhotos(FakeCorrectionSource([task]), world.datasets, LAUNDRY)
    with pytest.raises(DatasetRefused, match=told):
        world.collect(run_id="later")
    assert world.datasets.first_photos(LAUNDRY) == before != []


ERASED, AGAIN = "good/00.JPG", "불량/again.png"


@pytest.mark.parametrize("collected", [True, False], ids=["a dataset has it", "no dataset has it yet"])
def test_the_folder_brings_back_no_photo_that_was_erased(world, collected):
    world.folder.bodies[AGAIN] = world.folder.bodies[ERASED]
    if collected:
        world.collect_first()
    world.erase(ERASED)
    tasks = world.bring()
    assert world.copies_of(ERASED) == [] and len(world.copies()) == 59
    assert not {f"first:{ERASED}", f"first:{AGAIN}"} & {task.task_id for task in tasks} and len(tasks) == 59
    assert world.folder.bodies[ERASED], "what somebody has is theirs"


def test_a_copy_that_came_back_is_deleted_when_its_photo_is_erased_once_more(world):
    world.collect_first()
    (copy,) = world.copies_of(ERASED)
    world.erase(ERASED)
    world.objects.write(copy, world.folder.bodies[ERASED])
    world.erase(ERASED)
    assert world.copies_of(ERASED) == [] and len(world.copies()) == 59


def erased_meanwhile(fault, *, collected):
    world = World(photos=2)
    world.folder.bodies[AGAIN] = world.folder.bodies[ERASED]
    if collected:
        world.collect_first()
    tasks = world.bring(replace(fault, meanwhile=lambda: world.erase(ERASED)) if fault.at else fault)
    return world, tasks


@pytest.mark.parametrize("collected", [True, False])
def test_whenever_a_photo_is_erased_while_others_are_brought_no_copy_is_left(collected):
    erased_meanwhile(counted := Fault(), collected=collected)
    for at in range(1, counted.calls + 1):
        world, tasks = erased_meanwhile(Fault(at), collected=collected)
        late = world.bring()
        assert world.copies_of(ERASED) == [] and len(world.copies()) == 3, at
        assert len(late) == 3 and late == [task for task in tasks if task in late], at


def test_a_list_in_the_folder_counts_instead_of_its_folders(world):
    world.folder.bodies["labels.csv"] = "photo,label\ngood/00.JPG,불량\ngood/01.JPG,good\n".encode()
    assert {t.task_id: t.final_result for t in world.bring()} == {
        "first:good/00.JPG": "불량",
        "first:good/01.JPG": "양호",
    }
    world.folder.bodies["labels.csv"] = "photo,label\n".encode("utf-16")
    with pytest.raises(DatasetRefused, match="labels.csv is not UTF-8"):
        world.bring()


def test_a_model_type_that_has_a_version_gets_no_first_one(world):
    world.versions.register(a_model_version("v1.0.0", run_id="another"))
    how = "`python -m pipeline retrain --run-id NAME --model-type LAUNDRY`"
    with pytest.raises(GiveUp, match=f"LAUNDRY has v1.0.0 already: {how} makes the next"):
        world.bring()
    assert world.copies() == []
    assert len(world.bring(run_id="another")) == 60, "the run that made it goes on"


@pytest.mark.parametrize("fault", every_fault(lambda fault: World(photos=2).bring(fault)))
def test_killed_anywhere_it_goes_on_to_the_same_photos(fault):
    world = World(photos=2)
    with pytest.raises(Killed):
        world.bring(fault)
    assert world.bring() == World(photos=2).bring() and len(world.copies()) == 4
