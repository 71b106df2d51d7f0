"""Every benchmark has a place in one table, and its names mean one thing."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from include.bench.registry import BENCHMARKS, UnknownBenchmark, chosen
from include.stack.layout import REPOSITORY

BENCH, STUDIES = REPOSITORY / "include" / "bench", REPOSITORY / "include" / "studies"


def names(*wanted):
    return [benchmark.name for benchmark in chosen(wanted)]


def functions(path: Path):
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda b: b.name)
def test_what_runs_exists_in_the_package_of_its_group(benchmark):
    module, _, function = benchmark.where.partition(":")
    assert function in functions(BENCH / benchmark.group / f"{module}.py")


def test_no_name_means_two_things():
    known = Counter([*(b.name for b in BENCHMARKS), *{b.group for b in BENCHMARKS}, "all"])
    assert max(known.values()) == 1


def test_every_page_of_the_studies_is_written_by_a_benchmark_and_the_other_way_round():
    # `make faults` writes the page of the matrix, `python -m include.bench performance` that of all figures, and people
    # those of GPUs, of sequences of acts and of workers.
    by_others = ["faults.md", "gpu.md", "performance.md", "state-machine.md", "workers.md"]
    written = [*by_others, *(page for benchmark in BENCHMARKS for page in benchmark.pages)]
    assert sorted(written) == sorted(path.name for path in STUDIES.iterdir() if path.name != "README.md")


def test_groups_and_names_can_be_mixed_and_nothing_runs_twice():
    assert names("data", "collecting", "intake") == ["intake", "augmenting", "collecting", "overview"]


def test_all_is_everything():
    assert names("all") == [benchmark.name for benchmark in BENCHMARKS]


@pytest.mark.parametrize(("typed", "meant"), [("intaek", "'intake'"), ("serve", "'serving'")])
def test_an_unknown_name_is_met_with_the_one_that_is_like_it(typed, meant):
    with pytest.raises(UnknownBenchmark, match=f"no benchmark or group is called '{typed}'; did you mean {meant}"):
        chosen([typed])


def test_a_name_like_no_other_is_met_with_the_list():
    with pytest.raises(UnknownBenchmark, match=r"'zzz' \(`list` shows all\)"):
        chosen(["intake", "zzz"])


def test_what_a_program_takes_by_default_stands_in_the_program_alone():
    assert re.findall(r"\$\(or \$\([A-Z]+\),.*", (REPOSITORY / "Makefile").read_text()) == []


def test_every_verb_of_the_makefile_names_what_there_is():
    verbs = re.findall(r"-m include\.bench run (.+)", (REPOSITORY / "Makefile").read_text())
    assert len(verbs) == 8
    for verb in verbs:
        assert chosen(verb.split())
