"""Earlier versions on the newest photos: told in the report, and never a reason to stop."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.domain.errors import ServiceUnavailable
from tests.builders import NOW, a_model_version
from tests.fakes.data import BYTES, FakeObjects
from tests.fakes.verification import FakeTrial
from tests.unit.pipeline.steps.verification_world import CANDIDATE, CHAMPION, LABELS, World


def a_world_with_earlier(*ages, **changes):
    """Versions of so many days, each always of the opinion that garments are soiled; half of the photos are new."""
    world = World(**changes)
    world.earlier = tuple(
        a_model_version(f"v0.{days}.0", run_id=f"of v0.{days}.0", trained_at=NOW - timedelta(days=days))
        for days in ages
    )
    bodies = world.trials.answers["v1.0.0"]
    for version in world.earlier:
        world.trials.answers[version.version] = dict.fromkeys(bodies, LABELS[1])
    old = (NOW - timedelta(days=8)).isoformat()
    photos = tuple(
        replace(p, confirmed_at=old) if number % 4 < 2 else p for number, p in enumerate(world.manifest.photos)
    )
    world.manifest = replace(world.manifest, photos=photos)
    return world


def told(world):
    report = json.loads(world.objects.read(world.judge().report_uri))
    return [(one["version"], one["age_days"], one["photos"], one["right"]) for one in report["staleness"]]


def test_the_report_says_how_candidate_champion_and_older_versions_do_on_the_newest_photos():
    world = a_world_with_earlier(30, 60, 90, 120)
    champion_days = (NOW - CHAMPION.trained_at) / timedelta(days=1)
    assert told(world) == [
        ("", 0.0, 20, 20),
        ("v1.0.0", max(0.0, champion_days), 20, 10),
        ("v0.30.0", 30.0, 20, 10),
        ("v0.60.0", 60.0, 20, 10),
        ("v0.90.0", 90.0, 20, 10),
    ]
    assert world.trials.served.count("v0.120.0") == 0


def test_however_many_older_versions_there_are_they_take_one_more_start_of_a_server():
    alone, with_others = World(), a_world_with_earlier(30, 60, 90)
    for world in (alone, with_others):
        world.verify()
    assert with_others.trials.starts == alone.trials.starts + 1


def test_where_no_server_starts_any_more_every_older_version_stands_there_with_the_reason():
    world = a_world_with_earlier(30, 60)

    class Last(FakeTrial):
        """After the champion has answered."""

        def classify(self, photos):
            if {*self.answers.values()} == {LABELS[0]}:
                world.trials.away = ServiceUnavailable("the trial server", "no memory")
            return super().classify(photos)

    world.trials.trial = Last
    world.measure_accuracy()
    kept = json.loads(world.objects.read(f"{CANDIDATE.uri}staleness.json"))
    reason = str(ServiceUnavailable("the trial server", "no memory"))
    assert [(one["version"], one["fault"]) for one in kept[2:]] == [("v0.30.0", reason), ("v0.60.0", reason)]


def test_the_first_model_stands_there_alone():
    world = a_world_with_earlier(champion=None)
    assert told(world) == [("", 0.0, 20, 20)]


def test_a_version_that_cannot_be_asked_stands_there_with_the_reason_and_stops_nobody():
    world = a_world_with_earlier(30, 60)
    world.trials.refused["v0.30.0"] = "its files are in the archive"

    class Away(FakeTrial):
        def classify(self, photos):
            if {*self.answers.values()} == {LABELS[1]}:
                raise ServiceUnavailable("the trial server", "gone")
            return super().classify(photos)

    world.trials.trial = Away
    assert world.judge().accepted
    kept = json.loads(world.objects.read(f"{CANDIDATE.uri}staleness.json"))
    assert [(one["version"], one["photos"], one["fault"]) for one in kept[2:]] == [
        ("v0.30.0", 0, "the model server refuses this model: its files are in the archive"),
        ("v0.60.0", 0, str(ServiceUnavailable("the trial server", "gone"))),
    ]


@pytest.mark.parametrize("again", [False, True], ids=["never loaded", "after the verdict"])
def test_nothing_is_asked_of_older_versions_when_there_is_nothing_to_tell(again):
    world = a_world_with_earlier(30)
    if again:
        world.judge()
        world.objects.write(f"{CANDIDATE.uri}staleness.json", b"the evidence")
    else:
        world.trials.refused["run-1"] = "it does not load"
    world.trials.served.clear()
    world.verify()
    assert "v0.30.0" not in world.trials.served
    if again:
        assert world.objects.read(f"{CANDIDATE.uri}staleness.json") == b"the evidence"


@pytest.mark.parametrize("error", [ServiceUnavailable("S3", "503 slow down"), RuntimeError("a fault of ours")], ids=str)
def test_storage_that_does_not_take_the_figures_repeats_no_verification(error, caplog):
    world = a_world_with_earlier(30)

    class Full(FakeObjects):
        def write(self, uri, body, content_type=BYTES):
            if uri.endswith("staleness.json"):
                raise error
            super().write(uri, body, content_type)

    world.objects = Full()
    assert told(world) == []
    assert f"how earlier versions do on the newest photos is not known: {error}" in caplog.text
