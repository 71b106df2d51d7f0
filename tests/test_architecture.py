"""The budgets of the code: functions, files, parameters, nesting, levels of packages, fan-out, and tests beside it.

They are what codebases that we learn from keep to: cosmicpython, import-linter, stamina, MLServer. `python -m
tests.measure` prints the figures by package. What is over budget is made smaller, or stands in `ALLOWED` with its
reason.

Fan-out is counted without the modules of errors. An error's class says what to do next, so all of them stand together;
in those codebases each stands beside what raises it, and whoever catches it imports no further module.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.measure import REPOSITORY, Module, file_sizes, modules, percentile, rooms, share_of_tests

MAX_FUNCTION_LINES, MEDIAN_FUNCTION_LINES, P90_FUNCTION_LINES = 60, 8, 25
MAX_FILE_LINES, MEDIAN_FILE_LINES = 300, 80
MAX_PARAMETERS, MAX_STEP_PARAMETERS = 6, 5
MAX_BLOCKS_IN_BLOCKS = 3
MAX_LEVELS = 2
MAX_FAN_OUT = 8
MAX_LINES_PER_LINE_OF_TESTS = 1.0
LEAST_PATIENCE_SECONDS = 30

# Where a program is put together: they name every part once and decide nothing, so their fan-out is not limited.
ROOTS = {
    "dags.face_model_retraining": "puts the tasks of a retraining of faces in order",
    "dags.model_retraining": "puts the tasks of a whole retraining in order",
    "faceserve.server": "builds the server of all its parts",
    "include.access_service.app": "puts the stand-in together of its parts",
    "include.bench": "a bench wires real adapters to real steps",
    "include.demo": "a story touches every part of the running stack",
    "include.helper_service.app": "puts the stand-in together of its parts",
    "include.stack.__main__": "names every command of the stack once",
    "include.stack.layout": "names every variable of the local stack once",
    "include.stack.runner": "names every service of the stack once",
    "pipeline.bootstrap": "wires every adapter to every step",
    "pipeline.learning.trainer": "wires one attempt: photos, both phases, figures, pictures, artifact",
    "pipeline.ports.bundles": "names the ports that go together",
    "pipeline.settings": "nests the settings of every part",
}
# Imported by nearly all: which errors come out of a call is part of what it promises.
ERRORS = {"faceserve.errors", "pipeline.domain.errors", "plugins.refusals"}
# (budget, what is over it) → why it may be. An entry that is no longer needed fails the tests, too.
ALLOWED: dict[tuple[str, str], str] = {}

Excess = dict[tuple[str, str], float]


def _functions(found: list[Module]) -> Iterator[tuple[str, str, float, float]]:
    for module in found:
        at_most = MAX_STEP_PARAMETERS if module.name.startswith("pipeline.steps.") else MAX_PARAMETERS
        for function in module.functions:
            yield "lines of a function", function.name, function.lines, MAX_FUNCTION_LINES
            yield "parameters", function.name, function.parameters, at_most
            yield "blocks in blocks", function.name, function.nesting, MAX_BLOCKS_IN_BLOCKS


def _files(found: list[Module]) -> Iterator[tuple[str, str, float, float]]:
    known = {module.name for module in found}
    for module in found:
        yield "lines of a file", module.name, module.lines, MAX_FILE_LINES
        yield "levels of packages", module.name, module.levels, MAX_LEVELS
        if not _root_of(module):
            yield "fan-out", module.name, len(module.imports(known) - ERRORS), MAX_FAN_OUT


def _root_of(module: Module) -> str | None:
    return next((root for root in ROOTS if f"{module.name}.".startswith(f"{root}.")), None)


def _packages(found: list[Module]) -> Iterator[tuple[str, str, float, float]]:
    for name, members in {"all": found, **rooms(found)}.items():
        lengths = [f.lines for m in members for f in m.functions]
        yield "median lines of a function", name, percentile(lengths, 0.5), MEDIAN_FUNCTION_LINES
        yield "nine of ten functions", name, percentile(lengths, 0.9), P90_FUNCTION_LINES
    yield "median lines of a file", "all", percentile(file_sizes(found), 0.5), MEDIAN_FILE_LINES


def excess(root: Path) -> Excess:
    """Everything over its budget, and by what figure."""
    found = modules(root)
    # Lines of what runs in production, see `PRODUCT`, by lines of everything in tests/.
    beside = ("lines per line of tests", "the product", 1 / share_of_tests(root), MAX_LINES_PER_LINE_OF_TESTS)
    measured = (*_functions(found), *_files(found), *_packages(found), beside)
    return {(budget, name): figure for budget, name, figure, at_most in measured if figure > at_most}


def _told(entries: Excess) -> str:
    return "\n".join(f"  {budget}: {name} ({figure:.4g})" for (budget, name), figure in sorted(entries.items()))


@pytest.fixture(scope="module")
def over():
    return excess(REPOSITORY)


def test_the_code_keeps_its_budgets(over):
    new = {entry: figure for entry, figure in over.items() if entry not in ALLOWED}
    assert not new, f"over budget; make it smaller, or say in ALLOWED why it may be:\n{_told(new)}"


def test_every_exception_is_still_needed_and_has_a_reason(over):
    stale = sorted(set(ALLOWED) - set(over))
    assert not stale, f"within budget now; take it out of ALLOWED: {stale}"
    found = modules(REPOSITORY)
    known = {module.name for module in found}
    large = {_root_of(module) for module in found if len(module.imports(known) - ERRORS) > MAX_FAN_OUT}
    assert not set(ROOTS) - large, "within budget now; take it out of ROOTS"
    assert all(len(reason.split()) >= 4 for reason in (*ALLOWED.values(), *ROOTS.values()))


@pytest.mark.parametrize(
    ("budget", "source"),
    [
        ("lines of a function", "def long():\n" + "    pass\n" * 60),
        ("lines of a file", "x = 1\n" * 301),
        ("parameters", "def wide(a, b, c, d, e, f, *, g): ..."),
        ("blocks in blocks", "def deep():\n if 1:\n  for _ in x:\n   try:\n    with y: pass\n   finally: pass"),
        ("fan-out", "\n".join(f"import faceserve.m{n}" for n in range(9))),
    ],
)
def test_what_is_over_a_budget_is_seen(tmp_path, budget, source):
    for folder in ("faceserve", "tests"):
        (tmp_path / folder).mkdir()
    for number in range(9):
        (tmp_path / f"faceserve/m{number}.py").touch()
    (tmp_path / "faceserve/large.py").write_text(source)
    (tmp_path / "tests/one.py").write_text("x = 1\n")
    assert [b for b, name in excess(tmp_path) if name.startswith("faceserve.large")] == [budget]


def test_a_package_too_deep_is_seen(tmp_path):
    for folder in ("pipeline/steps/more/still", "tests"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "one.py").write_text("x = 1\n")
    assert ("levels of packages", "pipeline.steps.more.still.one") in excess(tmp_path)


def test_more_product_than_tests_is_seen(tmp_path):
    for folder, lines in (("pipeline", 11), ("include/demo", 50), ("tests", 10)):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "one.py").write_text("x = 1\n" * lines)
    assert excess(tmp_path) == {("lines per line of tests", "the product"): 1.1}


def test_no_pool_forks_a_process_in_which_grpc_may_run():
    """A forked process has the locks of gRPC's threads but not the threads: it hangs or dies."""
    pools = [
        call
        for module in modules(REPOSITORY)
        for call in ast.walk(module.tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("ProcessPoolExecutor")
    ]
    assert pools
    assert all(any(given.arg == "mp_context" for given in call.keywords) for call in pools)


def test_a_step_that_makes_pictures_of_photos_writes_them_through_the_door_that_asks_for_erasures():
    """Whoever is given what is gone leaves it out, and `write_unerased` gives it."""
    makes = {"contact_sheet", "page", "shard", "log_file"}
    takes_out = {"pipeline.steps.erase_from_dataset"}
    # Hands on what others made, to a tracker that was away.
    hands_on = {"pipeline.steps.informing"}
    makers = {m.name: m for m in modules(REPOSITORY) if m.name.startswith("pipeline.steps.") and _called(m) & makes}
    door = {"pipeline.steps.unerased", "pipeline.domain.lineage.Gone"}
    assert len(makers) > len(takes_out)
    assert {name for name, m in makers.items() if not _imported(m) & door} == takes_out | hands_on


def test_no_deadline_of_a_test_says_by_accident_how_quick_the_machine_has_to_be():
    """What is waited for may take long elsewhere. A deadline that is meant to pass has a name that says so."""
    tests = sorted((REPOSITORY / "tests").rglob("*.py"))
    assert [found for path in tests for found in hasty(path.name, path.read_text())] == []


def test_no_test_waits_in_a_way_that_a_pages_own_policy_forbids():
    """`tests.waiting` says why."""
    tests = {path: ast.parse(path.read_text()) for path in (REPOSITORY / "tests" / "browser").rglob("*.py")}
    asked = {
        (path.name, node.attr)
        for path, tree in tests.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    }
    assert {"test_review_page.py"} <= {name for name, _ in asked}
    assert [name for name, attribute in asked if attribute == "wait_for_function"] == []


def test_a_hasty_deadline_is_seen():
    source = "ask(timeout=2)\nask(timeout_seconds=0.5)\nhttpx.get(url)\nask(timeout=HASTY)\nhttpx.get(url, timeout=60)"
    assert [found.partition(" ")[0] for found in hasty("a.py", source)] == ["a.py:1", "a.py:2", "a.py:3"]


def hasty(name: str, source: str) -> Iterator[str]:
    of_httpx = {f"httpx.{verb}" for verb in ("get", "post", "put", "patch", "delete", "request", "Client")}
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        given = {one.arg: one.value for one in call.keywords}
        if ast.unparse(call.func) in of_httpx and not given.keys() & {"timeout", None}:
            yield f"{name}:{call.lineno} gives up after the 5 s of httpx"
        for seconds in (given.get("timeout"), given.get("timeout_seconds")):
            if isinstance(seconds, ast.Constant) and 0 < (seconds.value or 0) < LEAST_PATIENCE_SECONDS:
                yield f"{name}:{call.lineno} gives up after {seconds.value} s"


def _called(module: Module) -> set[str]:
    calls = (node.func for node in ast.walk(module.tree) if isinstance(node, ast.Call))
    return {called.attr for called in calls if isinstance(called, ast.Attribute)}


def _imported(module: Module) -> set[str]:
    found = [node for node in ast.walk(module.tree) if isinstance(node, ast.ImportFrom)]
    return {name for one in found for name in (one.module or "", *(f"{one.module}.{a.name}" for a in one.names))}
