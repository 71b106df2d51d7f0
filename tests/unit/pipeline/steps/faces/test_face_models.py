"""From photos of people to a face model that serves: judged on people it never saw, refused where nothing is proven."""

import json
import re
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.checks import Outcome
from pipeline.domain.checksums import sha256
from pipeline.domain.errors import DatasetRefused, GiveUp, ModelRefused, NotBlessed
from pipeline.domain.faces.dataset import FaceDataset
from pipeline.domain.faces.gate import FaceCheck
from pipeline.domain.faces.identities import FacePhoto, Side, side_of
from pipeline.domain.models import ModelType
from pipeline.learning.faces.head import Head
from pipeline.learning.faces.learner import faces_of
from pipeline.learning.faces.measuring import tar_score
from pipeline.ports.faces import NamedHead
from pipeline.steps.faces.collect import vectors_of
from pipeline.steps.faces.learn import learn
from pipeline.steps.faces.register import register
from tests.fakes.faces import WIDTH
from tests.fakes.faults import Fault, Killed
from tests.unit.pipeline.steps.faces.world import FACE, GATE, World


@pytest.fixture
def world():
    return World()


def identities(dataset):
    return {photo.identity: side for side in Side for photo in dataset.photos[side]}


def test_people_stand_where_their_name_puts_them_whatever_comes_with_them(world):
    first = identities(world.collect())
    assert len(first) == 200 and all(side_of(name) is side for name, side in first.items())
    for n in range(200, 250):
        world.folder.bodies |= {f"p{n}/{shot}.jpg": f"p{n}:{shot}".encode() for shot in range(3)}
    second = identities(world.collect("run-2"))
    assert len(second) == 250 and first.items() <= second.items()


@pytest.mark.parametrize("frozen", [True, False])
def test_the_run_of_a_retraining_makes_no_face_model_and_keeps_its_dataset(world, frozen):
    dataset_id = world.datasets.begin("run-1", ModelType.LAUNDRY)
    if frozen:
        world.objects.write(f"s3://datasets/{dataset_id}/manifest.json", b'{"photos": []}', "application/json")
    before = dict(world.objects.bodies)
    with pytest.raises(GiveUp, match="^run run-1 is one of LAUNDRY: name that of FACE otherwise$"):
        world.collect("run-1")
    assert world.objects.bodies == before and world.datasets.completed == {}


def test_a_dataset_is_frozen_and_counted(world):
    dataset = world.collect()
    world.folder.bodies.clear()
    assert world.collect() == dataset
    row = world.datasets.get(dataset.dataset_id)
    assert (
        row.model_type == FACE and row.photo_count == row.train_count + row.validation_count + row.holdout_count == 600
    )
    assert world.heard[-1] == (600, 600)


def test_what_the_network_says_of_a_photo_is_kept_once(world):
    world.collect()
    world.collect("run-2")
    assert len(world.network.embedded) == 600


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("p000/9.jpg", b"bad: no readable photo", "bad: no readable photo"),
        ("p000/9.jpg", b"p001:0", "the same picture is filed under another person, too"),
        ("\u3000/9.jpg", b"p900:0", "a person has a name"),
    ],
)
def test_what_cannot_be_used_is_set_aside_with_its_reason(world, name, body, why):
    world.folder.bodies[name] = body
    aside = {one.name: one.reason for one in world.collect().set_aside}
    assert aside[name] == why


def test_a_picture_that_is_filed_under_two_people_is_nobodys(world):
    world.folder.bodies["p000/9.jpg"] = world.folder.bodies["p001/0.jpg"]
    assert {one.name for one in world.collect().set_aside} == {"p000/9.jpg", "p001/0.jpg"}


@pytest.mark.parametrize("again", [b"~1", b"~15", b"~31"])
@pytest.mark.parametrize("one", ["p000", "p001", "p002", "p003"], ids=lambda who: f"{who} {side_of(who)}")
def test_a_picture_that_was_saved_again_for_somebody_else_is_nobodys(world, one, again):
    """Where it is a copy by its hash and by what the network says of it."""
    world.folder.bodies[f"{one}/9.jpg"] = world.folder.bodies["p004/0.jpg"] + again
    dataset = world.collect()
    copied = {f"{one}/9.jpg", "p004/0.jpg"} if again != b"~31" else set()
    assert {row.name for row in dataset.set_aside} == copied
    assert {row.reason for row in dataset.set_aside} <= {"the same picture is filed under another person, too"}
    assert len(dataset.of_person("p004")) == (2 if copied else 3)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7)), min_size=1, max_size=6, unique=True), st.integers(0, 6)
)
@settings(max_examples=60)
def test_a_picture_is_of_one_person_or_of_nobody_however_often_it_was_saved_again_and_for_whom(saved, newer):
    """Also where a newer one of the same person stands for it, or so many are newer that it does not count."""
    world = World(people=30)
    world.folder.bodies = {name: body for name, body in world.folder.bodies.items() if body != b"p004:0"}
    world.folder.bodies |= {f"p00{of}/8{again}.jpg": b"p004:0~%d" % again for of, again in saved}
    world.folder.bodies |= {f"p004/9{n}.jpg": b"p004:9%d" % n for n in range(newer)}
    bodies = {sha256(body): name for name, body in world.folder.bodies.items() if body.startswith(b"p004:0~")}
    used = [photo.identity for photo in world.collect().every_photo() if photo.photo_id in bodies]
    of_several = len({of for of, _ in saved}) > 1
    assert len(used) <= 1 and not (used and of_several)


def test_a_photo_that_others_were_only_compared_with_is_forgotten_with_its_person(world):
    world.folder.bodies |= {f"p004/9{n}.jpg": b"p004:9%d" % n for n in range(5)}
    world.folder.bodies["p000/9.jpg"] = world.folder.bodies["p004/0.jpg"] + b"~1"
    compared = sha256(world.folder.bodies["p004/0.jpg"])
    assert compared not in {photo.photo_id for photo in world.collect().every_photo()}
    assert any(compared in uri for uri in world.objects.bodies)
    world.erase("p004")
    assert not any(compared in uri for uri in world.objects.bodies)


def test_photos_of_two_people_that_are_alike_by_chance_are_both_used(world):
    world.network.alike_by_chance = True
    world.folder.bodies["p000/9.jpg"] = world.folder.bodies["p004/0.jpg"] + b"~3"
    dataset = world.collect()
    assert dataset.set_aside == () and len(dataset.of_person("p000")) == 4


def test_a_photo_of_two_people_is_forgotten_with_either(world):
    world.folder.bodies["p000/9.jpg"] = world.folder.bodies["p004/0.jpg"] + b"~3"
    world.collect()
    world.erase("p004")
    lists = [body.decode() for uri, body in world.objects.bodies.items() if uri.endswith(".json")]
    assert lists and not any("p004" in body for body in lists)


@pytest.mark.parametrize("again", [b"~1", b"~15", b"~31"])
def test_whoever_has_one_photo_and_that_one_saved_again_has_too_few(world, again):
    world.folder.bodies |= {"new/1.jpg": b"new:1", "new/2.jpg": b"new:1" + again}
    assert len(world.collect().of_person("new")) == (2 if again == b"~31" else 0)


def test_a_list_of_before_is_read_and_keeps_its_hash(world):
    written = world.collect().to_json()
    (first, *_) = json.loads(written)["photos"]["train"]
    assert len(first["cluster_id"]) == 16 and "phash" not in first
    assert FaceDataset.from_json(written).to_json() == written


def test_a_name_is_one_person_in_whatever_form_it_was_typed(world):
    world.folder.bodies = {
        f"{form}/{shot}.jpg": f"{form}:{shot}".encode() for form in ("é", "e\u0301", "ｅ\u0301") for shot in range(3)
    } | world.folder.bodies
    assert sum(photo.identity == "é" for of_side in world.collect().photos.values() for photo in of_side) == 5


@pytest.mark.parametrize("names", [(), ("loose.jpg",), (".hidden/1.jpg", "kim/.DS_Store")])
def test_a_folder_without_people_is_refused(world, names):
    world.folder.bodies = {name: b"kim:0" for name in names}
    with pytest.raises(DatasetRefused, match="has no folder for any person"):
        world.collect()


def test_where_nobody_could_judge_nothing_is_learned():
    with pytest.raises(DatasetRefused, match="nobody stands on the side"):
        World(people=2).collect()


def test_somebody_on_two_sides_is_caught(world):
    class Leaking:
        min_photos = 2

        def choose(self, photos):
            return dict.fromkeys(Side, (FacePhoto("a", "kim", "00ff", "1"), FacePhoto("b", "kim", "ff00", "2")))

    with pytest.raises(DatasetRefused, match="identity kim"):
        FaceDataset.chosen("DS-2026-001", "b" * 64, (), (), Leaking())


def test_a_model_that_tells_people_apart_serves_and_says_how_well(world):
    blessing, version = world.make()
    assert (blessing.accepted, blessing.reasons, blessing.first_model) == (True, (), True)
    tar = next(check.value for check in blessing.checks if check.name == FaceCheck.TAR)
    assert version.version == "v1.0.0" and version.accuracy == tar > 0.8
    assert world.registry.tags["v1.0.0"]["people_test"] == str(blessing.checks[0].support)
    report = json.loads(world.objects.read(blessing.report_uri))
    assert report["accepted"] and report["threshold"] > 0 and "p000" not in json.dumps(report)
    page = world.objects.read(ArtifactFolder(blessing.report_uri.rpartition("/")[0] + "/").report_page).decode()
    assert "DET" in page and page.count("<polyline") == 3 and "p000" not in page
    assert report["det"][0]["far"] == 1 and sum(report["scores"]["mates"]) == report["pairs_of_one_person"]


def test_made_again_of_more_people_it_is_the_next_minor_and_judged_beside_the_champion(world):
    world.serve()
    world.folder.bodies |= {f"q{n}/{shot}.jpg": f"q{n}:{shot}".encode() for n in range(50) for shot in range(3)}
    blessing, version = world.make("run-2")
    assert (version.version, blessing.champion_version) == ("v1.1.0", "v1.0.0")
    assert {check.name for check in blessing.checks} == set(FaceCheck)


def test_a_head_that_scatters_everything_is_refused_and_the_champion_goes_on(world):
    world.serve()
    world.learner.ready = Head(np.random.default_rng(0).normal(size=(WIDTH, WIDTH)).astype(np.float32) ** 3)
    blessing, version = world.make("run-2")
    assert not blessing.accepted and not blessing.held and version is None
    assert any("against champion v1.0.0" in reason for reason in blessing.reasons)
    assert world.transitions.ledger(FACE).champion == "v1.0.0"
    assert [event.type for event in world.outbox.pending()][-1] == "ModelVerificationFailedEvent"


@pytest.mark.parametrize("name", ["Face", "AnotherNetwork"])
@pytest.mark.parametrize("noise", [2.0, 40.0], ids=["as good", "worse"])
def test_a_champion_of_other_weights_is_judged_by_what_its_own_network_said_of_the_same_photos(world, name, noise):
    version = world.serve()
    world.network.name, world.network.sha256, world.network.noise = name, "c" * 64, noise
    # Of those who came since it said nothing.
    world.folder.bodies |= {f"q{n}/{shot}.jpg": f"q{n}:{shot}".encode() for n in range(40) for shot in range(3)}
    blessing, registered = world.make("run-2")
    assert blessing.champion_version == version.version and world.learner.before is None
    assert {check.name for check in blessing.checks} == set(FaceCheck)
    support = {check.name: check.support for check in blessing.checks}
    assert 20 <= support[FaceCheck.NOT_WORSE] < support[FaceCheck.TAR]
    if noise > 2:
        assert not blessing.accepted and registered is None
        assert any("against champion v1.0.0" in reason for reason in blessing.reasons)
    else:
        assert registered.version == "v2.0.0"


@pytest.mark.parametrize("left", [0, 19], ids=["nothing is kept", "of too few"])
def test_where_too_little_is_kept_of_what_its_network_said_a_person_decides(world, left):
    world.serve()
    judges = sorted({photo.identity for photo in world.collect().photos[Side.TEST]})
    kept = {photo.photo_id for who in judges[:left] for photo in world.collect().of_person(who)}
    for uri in world.objects.list("s3://datasets/faces/"):
        if uri.rpartition("/")[2].partition(".")[0] not in kept:
            world.objects.delete(uri)
    world.network.sha256 = "c" * 64
    blessing, registered = world.make("run-2")
    assert blessing.held and registered is None
    assert blessing.reasons == (
        "champion v1.0.0 is of another base network, and of too few of these people photos are there that both "
        "networks saw: look at what it refuses and lets in at doors, and decide",
    )
    assert world.make_approved("run-2").version == "v2.0.0"


def test_vectors_of_another_network_than_the_model_would_have_are_nothing_to_learn_from(world):
    dataset = world.collect()
    world.network.sha256 = "c" * 64
    with pytest.raises(GiveUp, match="another base network: begin another run"):
        learn(world.making(), "run-1", dataset)


@pytest.mark.parametrize("threshold", [-1.0, 0.0])
def test_a_champion_that_lets_far_too_many_in_is_replaced(world, threshold):
    version = world.serve()
    head = world.artifacts.head(version.artifact)
    champion = NamedHead(version.version, replace(head, threshold=threshold))
    dataset = world.collect()
    vectors = vectors_of(world.making(), dataset)
    strict = replace(GATE, far=0.0001, enough_people=20)
    found = world.learner.measure(head, champion, dataset, vectors, strict)
    assert found.champion.errors.more and not found.candidate.more
    too_open = strict.judge(world.learner.measure(champion.head, None, dataset, vectors, strict))
    (far,) = (check for check in too_open if check.name == FaceCheck.FAR)
    assert far.outcome is Outcome.FAILED and far.reason.startswith("at least ") and far.high == 1.0


@pytest.mark.parametrize("people", range(2, 14))
@pytest.mark.parametrize("far", [0.01, 1.0])
def test_of_a_few_people_a_model_is_judged_or_a_sentence_says_how_many_are_needed(people, far):
    one = World(people=people)
    try:
        dataset = one.collect()
        learn(one.making(), "run-1", dataset)
    except DatasetRefused as refused:
        needed = r"stand on the side \w+, 2 or more are needed: about \d+% of all do|needs more people"
        assert re.search(needed, str(refused))
        return
    faces = faces_of(dataset.photos[Side.CALIBRATE], vectors_of(one.making(), dataset))
    assert 0 <= tar_score(faces, far)(Head(np.eye(WIDTH, dtype=np.float32))) <= 1


def test_photos_that_say_nothing_of_who_is_shown_give_no_model():
    blessing, version = World(noise=40.0).make()
    assert version is None and any("pairs of one person are accepted" in reason for reason in blessing.reasons)


def test_too_few_people_judge_nothing():
    blessing, _ = World(people=60).make()
    assert not blessing.accepted and "people judge, 20 needed" in blessing.reasons[0]


def test_without_a_verdict_nothing_gets_a_number(world):
    dataset, making = world.collect(), world.making()
    with pytest.raises(NotBlessed):
        register(making, learn(making, "run-1", dataset))


def test_a_champion_whose_artifact_was_changed_judges_nothing(world):
    version = world.serve()
    world.objects.bodies[version.artifact.uri + "manifest.json"] += b" "
    with pytest.raises(ModelRefused, match="sha256 differs"):
        world.make("run-2")


def killed_and_run_again(fault):
    world = World()
    with suppress(Killed):
        world.make(fault=fault)
    blessing, version = world.make()
    assert blessing.accepted and version.version == "v1.0.0"
    assert len(world.network.embedded) <= 632, "a vector that is stored is not computed again"


@settings(max_examples=6)
@given(st.floats(0, 1), st.booleans())
def test_killed_anywhere_and_run_again_it_comes_to_the_same_version(calls, share, after):
    killed_and_run_again(Fault(1 + round(share * (calls - 1)), after))


@pytest.mark.parametrize("back", range(4))
def test_killed_at_the_end_and_run_again_it_comes_to_the_same_version(calls, back):
    killed_and_run_again(Fault(calls - back, after=bool(back % 2)))


@pytest.fixture(scope="module")
def calls():
    """How many calls to ports there are."""
    counted = Fault()
    World().make(fault=counted)
    return counted.calls
