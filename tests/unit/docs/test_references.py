"""Whatever a docstring, a comment or a page refers to is in the repository."""

import re
from collections.abc import Callable, Iterable

import click
import pytest

from pipeline.__main__ import main as pipeline_commands
from tests.unit.docs.references import ROOT, anchor, documents, headings, lines

# Has letters and numbers of its own, those of the paper it follows.
_ML_TEST_SCORE = "include/ml-test-score.md"
_SPEC, _DECISIONS, _INVARIANTS = (ROOT / "include" / name for name in ("spec.md", "adr/README.md", "reliability.md"))

SECTION = re.compile(r"§(\d+(?:\.\d+)?)")
MESSAGES = re.compile(r"(?:[Ss]pecification,?|\() ?messages? (\d+)(?:-(\d+))?")
DECISION = re.compile(r"\b(D\d{1,2})\b")
INVARIANT = re.compile(r"\b(I\d)\b")
RECORDS = re.compile(r"ADR (\d{4}(?:(?:, | and )\d{4})*)")
OUTSIDE = re.compile(r"\b((?:UC|QAS|DD)-\d{2})\b")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:dags|plugins|pipeline|faceserve|include|tests)/[\w./-]*)`")
COMMAND = re.compile(r"python -m pipeline ((?![`{])[^`#\n]+)")
VERB = re.compile(r"(?:`|^)make ([a-z][a-z-]*)")


def test_every_section_of_the_specification_has_a_summary():
    known = {found[1] for heading in headings(_SPEC) if (found := re.match(r"(\d+(?:\.\d+)?)\.? ", heading))}
    assert {"1", "2.1", "2.2", "3.1", "3.4", "5", "6.1", "6.2", "12"} <= known
    assert _dangling(SECTION, known) == []


def test_every_message_of_the_specification_has_a_summary():
    ranges = [re.match(r"Messages (\d+)-(\d+)", heading) for heading in headings(_SPEC)]
    known = {str(n) for found in ranges if found for n in range(int(found[1]), int(found[2]) + 1)}
    assert known == {str(n) for n in range(1, 44)}
    assert _dangling(MESSAGES, known) == []


def test_every_decision_is_in_the_index():
    known = _defined(r"^\| (D\d+) \|", _DECISIONS.read_text())
    assert known == {f"D{n}" for n in range(1, len(known) + 1)}
    assert _dangling(DECISION, known) == []


def test_every_invariant_is_on_its_page():
    known = _defined(r"^\| (I\d) \|", _INVARIANTS.read_text())
    assert known == {"I1", "I2", "I3", "I4", "I5"}
    assert _dangling(INVARIANT, known) == []


def test_every_decision_record_exists_and_is_in_the_index():
    known = {path.name[:4] for path in _DECISIONS.parent.glob("0*.md")}
    assert known == _defined(r"^\| \[(\d{4})\]", _DECISIONS.read_text())
    assert _dangling(RECORDS, known, lambda found: re.findall(r"\d{4}", found)) == []


def test_use_cases_and_design_decisions_of_others_are_explained():
    assert _dangling(OUTSIDE, set(OUTSIDE.findall(_SPEC.read_text()))) == []


def test_the_design_is_named_by_the_number_of_a_decision():
    assert [str(line) for line in lines() if re.search(r"design §|\bnotes/|\bstyle\.md", line.text)] == []


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page):
    broken = []
    for target in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (fragment and fragment not in map(anchor, headings(there))):
            broken.append(target)
    assert broken == []


def test_paths_lead_to_files():
    named = [(path, line) for line in lines() for path in PATH.findall(line.text)]
    missing = [str(line) for path, line in named if not (ROOT / path).exists()]
    assert missing == []


def test_commands_exist_with_their_options():
    wrong = (f"{line}: {fault}" for line in lines() for said in COMMAND.findall(line.text) if (fault := _fault(said)))
    assert list(wrong) == []


def test_verbs_of_make_exist():
    known = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = (line for line in lines() if line.path.endswith(".md"))
    assert [str(line) for line in pages for verb in VERB.findall(line.text) if verb not in known] == []


@pytest.mark.parametrize("said", ["rollback", "roll-back --why x", "dead-letters look", "lineage"])
def test_a_command_that_does_not_exist_is_found(said):
    assert _fault(said) is not None


def _dangling(
    pattern: re.Pattern[str], known: set[str], names: Callable[[str], Iterable[str]] = lambda found: (found,)
) -> list[str]:
    return [
        str(line)
        for line in lines()
        if line.path != _ML_TEST_SCORE
        for found in pattern.finditer(line.text)
        for group in found.groups()
        if group and not set(names(group)) <= known
    ]


def _defined(pattern: str, page: str) -> set[str]:
    return set(re.findall(pattern, page, re.MULTILINE))


def _fault(said: str) -> str | None:
    """What is wrong with the words after `python -m pipeline`; None when they are a command with its options."""
    words, command, path = said.replace("…", " ").split(), pipeline_commands, []
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        path.append(words[0])
        # A few commands of a group may be named at once: `dead-letters list|show`.
        found = [command.commands.get(name) for name in words.pop(0).rstrip(",.;:)").split("|")]
        if not all(found):
            return f"no command {' '.join(path)}"
        command = found[0]
    if isinstance(command, click.Group) and path and not words:
        return f"{' '.join(path)} needs a command"
    known = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}
    unknown = [word for word in words if re.fullmatch(r"--[a-z-]+", word) and word not in known]
    return f"{' '.join(path)} has no option {', '.join(unknown)}" if unknown else None
