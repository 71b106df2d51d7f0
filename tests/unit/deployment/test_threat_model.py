"""include/threat-model.md: what is said to be stopped is stopped in a test that exists; what is open says so."""

import re

from include.stack.layout import REPOSITORY

PAGE = REPOSITORY / "include" / "threat-model.md"
DOORS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| door", "|---"))
]


def test_every_door_is_shown_by_tests_that_exist_or_is_said_to_be_open():
    assert len(DOORS) > 10
    for door, _, stops, shown in DOORS:
        links = re.findall(r"\[(test_\w+)\]\(([^)]+)\)", shown)
        assert links or "*open*" in stops or (REPOSITORY / shown.strip("`")).is_file(), door
        for name, path in links:
            assert f"def {name}(" in (PAGE.parent / path).resolve().read_text(), f"{door}: {name} is not in {path}"
