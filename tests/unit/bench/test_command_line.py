"""One command line for all: what runs is announced, what it found is kept, what fails is said."""

import json
import os
import signal
import time
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from include.bench.__main__ import main
from include.bench.measurement import Found
from include.bench.registry import BENCHMARKS, Benchmark


@contextmanager
def cleaned_up(done):
    try:
        yield
    finally:
        done.append("services are gone")


class Told(Benchmark):
    """A benchmark whose result is known beforehand."""

    def run(self, say):
        say("half of it is done")
        if self.where == "fails":
            raise RuntimeError("RabbitMQ is [gone]")
        if self.where == "is ended":
            with cleaned_up(self.pages):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
        return Found({f"{self.name}_ratio": 2.0}, "by hand", {f"{self.name}.md": b"# page"})


@pytest.fixture
def run(tmp_path):
    told = tuple(
        Told("trial", name, 1, where, "nothing") for name, where in (("a", "works"), ("b", "fails"), ("c", ""))
    )

    def invoke(*names):
        options = ["--out", str(tmp_path / "results.json"), "--pages", str(tmp_path / "pages")]
        return CliRunner().invoke(main, ["run", *options, *names], obj=told)

    before = signal.getsignal(signal.SIGTERM)
    yield invoke
    signal.signal(signal.SIGTERM, before)


def kept(tmp_path):
    return {name: entry["figures"] for name, entry in json.loads((tmp_path / "results.json").read_text()).items()}


def test_progress_and_figures_are_printed_and_pages_written(run, tmp_path):
    done = run("a")
    assert done.exit_code == 0
    assert "1/1 a" in done.output and "half of it is done" in done.output and "a_ratio" in done.output
    assert kept(tmp_path) == {"a": {"a_ratio": 2.0}}
    assert (tmp_path / "pages" / "a.md").read_text() == "# page"


def test_one_that_fails_is_named_and_the_others_are_measured(run, tmp_path):
    done = run("trial")
    assert done.exit_code == 1
    assert "b failed: RabbitMQ is [gone]" in done.output and "failed: b\n" in done.output
    assert kept(tmp_path).keys() == {"a", "c"}


def test_nothing_runs_when_a_name_is_unknown(run, tmp_path):
    done = run("a", "zzz")
    assert done.exit_code == 2 and "no benchmark or group is called 'zzz'" in done.output
    assert not (tmp_path / "results.json").exists()


def test_nothing_runs_when_its_result_could_not_be_kept(run, tmp_path):
    (tmp_path / "results.json").write_text("{")
    done = run("a")
    assert done.exit_code == 2 and "move it away" in done.output


def test_whoever_ends_it_ends_what_it_started(tmp_path):
    before, done = signal.getsignal(signal.SIGTERM), []
    try:
        options = ["--out", str(tmp_path / "results.json"), "--pages", str(tmp_path)]
        ended = CliRunner().invoke(main, ["run", *options, "a"], obj=(Told("trial", "a", 1, "is ended", "", done),))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.exit_code == 143 and done == ["services are gone"]


def test_without_a_name_the_usage_is_shown(run):
    assert run().exit_code == 2


def test_the_list_shows_every_benchmark_with_what_it_writes():
    shown = CliRunner().invoke(main, ["list"]).output
    for benchmark in BENCHMARKS:
        assert f"  {benchmark.name} " in shown and benchmark.measures in shown
        assert all(page in shown for page in benchmark.pages)
