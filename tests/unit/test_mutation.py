"""What is mutated, and how a mutant takes a function's place."""

import importlib
import sys
from textwrap import dedent

import pytest

from tests.measure import REPOSITORY
from tests.mutation.__main__ import PACKAGES, equivalents, package_of, wanted_files
from tests.mutation.mutants import mutants_of

WASHING = dedent(
    """
    import logging
    from contextlib import contextmanager
    from dataclasses import dataclass
    from functools import cached_property

    log = logging.getLogger(__name__)


    @dataclass
    class Wash:
        degrees: int

        @property
        def is_hot(self):
            return self.degrees > 60

        @cached_property
        def soap(self):
            return self.degrees + 1

        @staticmethod
        def cold(degrees=20):
            log.info("cold")
            return Wash(degrees)


    @contextmanager
    def door(state):
        yield state + 1
    """
)


@pytest.fixture
def washing(tmp_path, monkeypatch):
    path = tmp_path / "washing.py"
    path.write_text(WASHING)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda sample=None: mutants_of(path, "washing.py", sample)
    sys.modules.pop("washing", None)


def test_what_has_a_decorator_is_mutated_what_is_only_logged_is_not(washing):
    mutants, made = washing()
    changed = {mutant.lines for mutant in mutants}
    assert made == len(mutants)
    assert ("return self.degrees > 60", "return self.degrees >= 60") in changed
    assert ("return self.degrees > 60", "return self.degrees > 61") in changed
    assert not [before for before, _ in changed if "log" in before]


@pytest.mark.parametrize(
    ("after", "asked"),
    [
        ("return self.degrees >= 60", lambda m: m.Wash(60).is_hot),
        ("return self.degrees - 1", lambda m: m.Wash(1).soap == 0),
        ("def cold(degrees=21):", lambda m: m.Wash.cold().degrees == 21),
        ("yield state + 2", lambda m: m.door(1).__enter__() == 3),
    ],
)
def test_whoever_holds_the_function_calls_the_mutant(washing, after, asked):
    mutants, _ = washing()
    module = importlib.import_module("washing")
    assert not asked(module)
    next(mutant for mutant in mutants if mutant.lines[1] == after).apply()
    assert asked(module)


def test_the_same_sample_is_drawn_every_time(washing):
    first, again = washing(sample=3), washing(sample=3)
    assert first == again and len(first[0]) == 3


def test_the_smallest_statement_around_a_change_is_what_a_test_has_to_run(washing):
    mutants, _ = washing()
    hot = next(mutant for mutant in mutants if mutant.function == "Wash.is_hot")
    assert [WASHING.splitlines()[line - 1].strip() for line in hot.statement] == ["return self.degrees > 60"]


def test_every_equivalent_mutant_is_of_a_line_that_is_there():
    code: dict[str, str] = {}
    for file, line, _ in equivalents():
        code[file] = code.get(file) or " ".join((REPOSITORY / file).read_text().split())
        assert " ".join(line.split()) in code[file], f"{file}: {line}"


def test_everything_below_a_package_is_mutated_and_every_file_knows_its_tests():
    found = set(wanted_files([]))
    for package in PACKAGES:
        place = REPOSITORY / package
        below = [place] if place.is_file() else list(place.rglob("*.py"))
        assert below and {file.relative_to(REPOSITORY).as_posix() for file in below} <= found
    for file in found:
        assert all((REPOSITORY / test).exists() for test in PACKAGES[package_of(file)])
    assert wanted_files(["pipeline/steps/faces"]) == sorted(file for file in found if "steps/faces/" in file)
