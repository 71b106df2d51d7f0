"""include/ml-test-score.md: every test it leans on exists, and its sums are right."""

import re

from include.stack.layout import REPOSITORY

PAGE = REPOSITORY / "include" / "ml-test-score.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if re.match(r"\| [DMIO]\d ", line)
]
POINTS = {"automated": 1.0, "by hand": 0.5, "missing": 0.0}


def test_all_28_tests_are_there_in_order():
    assert [row[0] for row in ROWS] == [f"{section}{number}" for section in "DMIO" for number in range(1, 8)]


def test_every_automated_line_links_tests_that_exist():
    for number, _, state, how in ROWS:
        links = re.findall(r"\[(test_\w+)\]\(([^)]+)\)", how)
        assert links or state != "automated", f"{number} names no test"
        for name, path in links:
            assert f"def {name}(" in (PAGE.parent / path).resolve().read_text(), f"{number}: {name} is not in {path}"


def test_the_score_is_the_smallest_sum():
    sums = {section: sum(POINTS[row[2]] for row in ROWS if row[0][0] == section) for section in "DMIO"}
    figures = re.findall(r"^\| \**[A-Za-z ]+\** \| \**([\d.]+)\** \|$", PAGE.read_text(), re.MULTILINE)
    assert [float(figure) for figure in figures] == [*sums.values(), min(sums.values())]
