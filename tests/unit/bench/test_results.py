"""Figures are merged by benchmark, with when, where and on which commit they were measured."""

import json
import os
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.bench import results
from include.bench.measurement import Found, compared
from include.bench.results import UnreadableResults


def found(**figures):
    return Found(figures, "by hand")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bench" / "results.json"


def test_figures_come_with_their_circumstances(path):
    results.keep(path, "intake", found(intake_ratio=12.3456789), took_seconds=61.26)
    entry = json.loads(path.read_text())["intake"]
    assert entry["figures"] == {"intake_ratio": 12.3457}
    assert entry["how"] == "by hand" and entry["took_seconds"] == 61.3 and entry["cores"] == os.cpu_count()
    assert re.fullmatch(r"([0-9a-f]{12,}(-dirty)?)?", entry["commit"])
    assert datetime.now(UTC) - datetime.fromisoformat(entry["measured_at"]) < timedelta(minutes=1)
    assert entry["processor"] and entry["versions"]["openvino"]


def test_what_others_found_stays_and_what_was_found_before_is_replaced(path):
    for name, figures in (("intake", {"old": 1}), ("monitor", {"looks": 3}), ("intake", {"new": 2})):
        results.keep(path, name, found(**figures), took_seconds=1)
    kept = {name: entry["figures"] for name, entry in results.read(path).items()}
    assert kept == {"intake": {"new": 2}, "monitor": {"looks": 3}}
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


def test_the_file_of_an_earlier_version_is_replaced(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"figures": {"intake_ratio": 3}, "context": {"intake": {}}}))
    assert results.read(path) == {}


@pytest.mark.parametrize("body", ["{", "[1]", '{"intake": 3}', "null"])
def test_a_file_that_is_no_file_of_results_is_not_overwritten(path, body):
    path.parent.mkdir()
    path.write_text(body)
    with pytest.raises(UnreadableResults, match="results.json is no file of results .*move it away"):
        results.keep(path, "intake", found(), took_seconds=1)
    assert path.read_text() == body


@given(slower=st.floats(0.1, 1e6), faster=st.floats(0.1, 1e6))
def test_a_ratio_above_one_means_that_ours_is_better(slower, faster):
    slower, faster = max(slower, faster), min(slower, faster)
    assert compared("x", "seconds", ours=faster, plain=slower)["x_ratio"] >= 1
    assert compared("x", "events_per_second", ours=slower, plain=faster)["x_ratio"] >= 1
