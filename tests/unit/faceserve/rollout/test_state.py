"""What a replica keeps on disk."""

import json
import math
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from faceserve.errors import BadArtifact, DiskUnusable
from faceserve.rollout.ending import Concluded
from faceserve.rollout.orders import Done
from faceserve.rollout.state import State, StateFile
from tests.unit.faceserve.rollout.world import MODEL, origin

STATE = State(origin("v2", 2.0), origin("v1", 1.0), 7, (origin("v1", 1.0), origin("v2", 2.0)))


@pytest.fixture
def file(tmp_path):
    return StateFile(tmp_path / "made" / "on demand", MODEL)


@pytest.fixture
def path(file, tmp_path):
    return tmp_path / "made" / "on demand" / "laundry.json"


def changed(path, change):
    """What is written, as a program before the hash wrote it, with a change."""
    found = json.loads(path.read_text())
    del found["sha256"]
    change(found)
    path.write_text(json.dumps(found))


def test_what_was_written_is_read(file):
    for state in (STATE, State(origin("v1", 1.0), None, 1, (origin("v1", 1.0),))):
        file.write(state)
        assert file.read() == state


def test_nothing_is_read_where_nothing_served(file):
    assert file.read() is None


def test_the_format_is_what_earlier_versions_wrote(file, path):
    file.write(STATE)
    fields = {"version": "v2", "artifact_uri": "s3://models/v2/", "manifest_sha256": "sha256 of v2"}
    found = json.loads(path.read_text())
    assert list(found) == ["format", "epoch", "active", "previous", "history", "done", "asked", "concluded", "sha256"]
    assert (found["format"], found["epoch"]) == (2, 7)
    assert found["active"] == fields | {"activated_at": 2.0}
    assert (found["previous"]["version"], [one["version"] for one in found["history"]]) == ("v1", ["v1", "v2"])


def test_a_write_leaves_the_state_and_the_one_before_it(file, path):
    file.write(STATE)
    assert [one.name for one in path.parent.iterdir()] == ["laundry.json"]
    for epoch in (8, 9):
        file.write(replace(STATE, epoch=epoch))
    assert sorted(one.name for one in path.parent.iterdir()) == ["laundry.before.json", "laundry.json"]
    assert file.read().epoch == 9


def test_names_of_changes_that_were_made_are_kept(file):
    state = replace(STATE, done=(Done("r1", "v2", "v1", 7, "activate 'v2'"), Done("r2", "v2", "", 8)))
    file.write(state)
    assert file.read() == state


@pytest.mark.parametrize("losses", [0, 1])
def test_how_a_trial_ended_is_kept(file, losses):
    state = replace(STATE, concluded=Concluded("v3", "aborted", "3 errors in a row", losses))
    file.write(state)
    assert file.read() == state


def test_a_state_without_names_of_changes_or_the_end_of_a_trial_is_read_as_one_of_an_earlier_program(file, path):
    file.write(STATE)
    changed(path, lambda found: [found.pop(field) for field in ("done", "concluded")])
    assert file.read() == STATE


def test_no_flipped_bit_is_read_as_another_state(file, path):
    file.write(STATE)
    body = path.read_bytes()
    for at in range(len(body)):
        flipped = bytearray(body)
        flipped[at] ^= 1 << random.Random(at).randrange(8)
        path.write_bytes(flipped)
        try:
            assert file.read() == STATE
        except BadArtifact as refusal:
            assert "laundry.json" in str(refusal)


@pytest.mark.parametrize("at", range(0, 700, 37))
def test_one_damaged_byte_costs_at_most_the_last_change_and_epochs_do_not_go_back(file, path, at):
    file.write(STATE)
    file.write(replace(STATE, epoch=9))
    body = bytearray(path.read_bytes())
    body[at % len(body)] = 0
    path.write_bytes(body)
    found = file.recovered()
    assert (found.active.version, found.epoch) == ("v2", 9)


def test_a_full_disk_is_told_and_what_was_kept_stays(file, path, monkeypatch):
    file.write(STATE)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskUnusable, match="No space left on device"):
        file.write(replace(STATE, epoch=8))
    assert file.read() == STATE


def test_a_state_is_on_disk_before_it_has_its_name_and_its_name_is_too(file, path, monkeypatch):
    """Or a power cut leaves an empty file, or none."""
    file.write(STATE)
    seen, plain = [], os.fsync

    def watched(descriptor):
        plain(descriptor)
        name = Path(f"/proc/self/fd/{descriptor}").resolve().name
        seen.append((name, json.loads(path.read_text())["epoch"]))

    monkeypatch.setattr("os.fsync", watched)
    file.write(replace(STATE, epoch=8))
    assert seen == [("laundry.partial", 7), ("on demand", 8)]


def test_a_crash_in_the_middle_of_a_write_leaves_the_earlier_state(file, path):
    file.write(STATE)
    path.with_suffix(".partial").write_text('{"format": 2, "ep')
    assert file.read() == STATE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 1}, "laundry.json has format 1, this program reads 2"),
        ({"format": 3}, "has format 3"),
        *[({"epoch": epoch}, "damaged: ValueError") for epoch in ("many", "7", 7.5, -1, 10**20, math.inf, math.nan)],
        ({"active": vars(origin("v1")) | {"version": 5}}, "damaged: ValueError"),
        ({"active": vars(origin("v1")) | {"version": ""}}, "damaged: ValueError"),
        ({"active": vars(origin("v1")) | {"activated_at": math.inf}}, "damaged: ValueError"),
        ({"active": None}, "damaged: TypeError"),
        ({"active": {"version": "v1"}}, "damaged: TypeError"),
        ({"history": [1]}, "damaged: TypeError"),
        ({"history": None}, "damaged: TypeError"),
    ],
)
def test_what_cannot_be_trusted_is_refused_with_the_reason(file, path, change, reason):
    file.write(STATE)
    changed(path, lambda found: found.update(change))
    with pytest.raises(BadArtifact, match=reason):
        file.read()


DEEP = "[" * 200_000


@pytest.mark.parametrize(
    "text", ["", "[]", "1", "{", DEEP, '{"format": 2, "done": ' + DEEP], ids=lambda text: text[:30]
)
def test_what_is_no_state_at_all_is_refused(file, path, text):
    path.write_text(text)
    with pytest.raises(BadArtifact, match="laundry.json is damaged"):
        file.read()


@pytest.mark.parametrize("missing", ["active", "previous", "epoch", "history"])
def test_half_a_state_is_refused(file, path, missing):
    file.write(STATE)
    changed(path, lambda found: found.pop(missing))
    with pytest.raises(BadArtifact, match=f"damaged: KeyError '{missing}'"):
        file.read()


def test_a_refused_file_is_kept_out_of_the_way(file, path):
    path.write_text("{")
    file.set_aside()
    assert [one.name for one in path.parent.iterdir()] == ["laundry.refused.json"]
    assert file.read() is None
