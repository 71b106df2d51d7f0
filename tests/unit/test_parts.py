"""All parts of the tests run, and one that fails is neither lost nor hidden."""

import sys

import pytest

from tests.__main__ import Part, run


def part(name, *lines, code=0):
    """Prints the lines and ends with the code."""
    return Part(name, (sys.executable, "-c", f"print({chr(10).join(lines)!r}); raise SystemExit({code})"))


def test_every_part_is_told_by_its_closing_line_at_the_end(capsys):
    first = part("one", "..", "2 passed in 1 s", "left behind: a process")
    assert run([first, part("two", "3 passed in 1 s"), part("three", "ok")]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told[-3:]] == ["one", "two", "three"]
    assert told[-3].endswith("2 passed in 1 s")


def test_a_part_that_fails_fails_all_and_is_shown_once_more_and_those_behind_it_run(capsys):
    parts = [part("bad", "E assert 1 == 2", "1 failed", code=1), part("beside", "ok"), part("behind", "4 passed")]
    assert run(parts) == 1
    told = capsys.readouterr().out
    assert "---- bad failed ----\nE assert 1 == 2\n1 failed" in told
    assert "4 passed" in told and "FAILED" in told.splitlines()[-3]


def test_a_part_that_cannot_even_start_fails_all():
    with pytest.raises(FileNotFoundError, match="/no/such/program"):
        run([Part("gone", ("/no/such/program",)), part("other", "1 passed")])
