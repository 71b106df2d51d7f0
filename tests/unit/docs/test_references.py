"""Whatever a docstring, a comment or a page refers to is in the repository."""

import re
from collections.abc import Callable, Iterable

import pytest

from faceserve.settings import Settings as ModelServer
from include.access_service.settings import Settings as AccessService
from include.helper_service.settings import Settings as HelperService
from pipeline.settings import Settings
from pipeline.settings.variables import variables
from tests.unit.docs import programs
from tests.unit.docs.references import ROOMS, ROOT, anchor, documents, headings, lines, words_of_code

_CHANGELOG = "CHANGELOG.md"
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
COMMAND = re.compile(r"python -m ([a-z_]+(?:\.[a-z_]+)*)((?: (?![`{])[^`#\n)]*)?)")
STARTED = re.compile(r"python, -m, ([\w.]+)([^\]]*)\]")
VARIABLE = re.compile(r"(?<![\w…])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w…*])")
GONE = re.compile(r"`(\w+)` (?:is|are) gone")
# Of Docker Compose, CUDA, OpenTelemetry, HTTP/2 and sysexits.h; a placeholder of a script.
NAMES_OF_OTHERS = {
    *("COMPOSE_PROFILES", "CUDA_VISIBLE_DEVICES", "OTEL_TRACES_SAMPLER_ARG", "REFUSED_STREAM", "EX_TEMPFAIL"),
    "SITE_PACKAGES",
}
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


def test_a_decision_says_what_is():
    """What is planned is built one day, and nobody looks here then: three said for days that they were planned."""
    assert re.findall(r"\*(?:partly )?planned\*", _DECISIONS.read_text(), re.IGNORECASE) == []


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


def test_every_page_is_reached_from_those_that_people_begin_with():
    reached, ahead = set(), [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached and page.suffix == ".md" and page.exists():
            reached.add(page)
            # A changelog names all that there ever was.
            found = LINK.findall(page.read_text()) if page.name != _CHANGELOG else []
            targets = ((page.parent / target.partition("#")[0]).resolve() for target in found)
            ahead += [target / "README.md" if target.is_dir() else target for target in targets]
    assert [str(page.relative_to(ROOT)) for page in documents() if page not in reached] == []


# Those of `plugins/` are named by what they do.
@pytest.mark.parametrize("room", sorted({*ROOMS} - {"plugins"}))
def test_the_layout_in_the_readme_names_every_folder_of_a_room(room):
    row = re.search(rf"^{room}/ +(.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert row is not None
    folders = {path.parent.name for path in (ROOT / room).glob("*/*") if path.is_file() and path.suffix != ".pyc"}
    named = set(re.findall(r"[a-z_0-9]+", row[1]))
    assert folders <= named


def test_paths_lead_to_files():
    named = [(path, line) for line in lines() for path in PATH.findall(line.text)]
    missing = [str(line) for path, line in named if not (ROOT / path).exists()]
    assert missing == []


def test_commands_exist_with_their_options():
    said = [(line, *found) for line in lines() for found in COMMAND.findall(line.text)]
    started = [
        (line, module, words.replace(", ", " ")) for line in lines() for module, words in STARTED.findall(line.text)
    ]
    assert len(said) > 200 and len(started) > 20
    faults = ((line, programs.fault(module, words)) for line, module, words in said + started)
    assert [f"{line}: {fault}" for line, fault in faults if fault] == []


def test_every_command_is_in_a_page():
    pages = "\n".join(page.read_text() for page in documents() if page.name != _CHANGELOG)
    called = [name for name, _ in programs.commands()]
    assert [name for name in called if not re.search(rf"(python -m pipeline |`){name}\b", pages)] == []


def test_settings_and_variables_exist():
    """The name of a setting, or one that stands in what runs."""
    of_servers = (
        f"{one.model_config['env_prefix']}{field}".upper()
        for one in (ModelServer, HelperService, AccessService)
        for field in one.model_fields
    )
    known = {*(one.name for one in variables(Settings)), *of_servers, *words_of_code(), *NAMES_OF_OTHERS}
    prose = [line for line in lines() if not line.path.startswith("tests/") and not line.path.endswith(".sql")]
    found = [(name, line) for line in prose for name in VARIABLE.findall(line.text) if name not in known]
    assert [f"{name}, {line}" for name, line in found if name not in GONE.findall(line.text)] == []


def test_what_the_changelog_says_is_gone_is_gone():
    gone = set(GONE.findall((ROOT / _CHANGELOG).read_text()))
    dags = {path.stem for path in (ROOT / "dags").glob("*.py")}
    assert gone and gone & {*words_of_code(), *(one.name for one in variables(Settings)), *dags} == set()


@pytest.mark.parametrize(
    "said", ["`RETRAIN_NO_SUCH_SETTING=1`", "set FACESERVE_NOTHING", "`HELPER_NOBODY` or", "(`STACK_NOWHERE`)"]
)
def test_a_variable_that_does_not_exist_is_found(said):
    (name,) = VARIABLE.findall(said)
    assert name not in words_of_code()


def test_verbs_of_make_exist():
    known = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = (line for line in lines() if line.path.endswith(".md"))
    assert [str(line) for line in pages for verb in VERB.findall(line.text) if verb not in known] == []


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("pipeline", "rollback"),
        ("pipeline", "roll-back --why x"),
        ("pipeline", "dead-letters look"),
        ("pipeline", "lineage"),
        ("include.stack", "restart --now"),
        ("include.stack", "rotate nobody"),
        ("include.stack.object_rights", "nobody"),
        ("include.bench", "run nothing"),
        ("include.docker.health", "alive"),
        ("include.stack.layout", ""),
        ("tests.nowhere", ""),
    ],
)
def test_a_command_that_does_not_exist_is_found(module, said):
    assert programs.fault(module, said) is not None


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("pipeline", "dead-letters list|show"),
        ("include.stack", "rotate NAME"),
        ("include.bench", "run serving"),
        ("include.stack.airflow_worker", "gpu,cpu-heavy 1 --any-of-airflow"),
        ("pytest", "--whatever"),
    ],
)
def test_a_command_that_exists_is_none(module, said):
    assert programs.fault(module, said) is None


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
