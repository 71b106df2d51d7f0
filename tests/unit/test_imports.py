"""Tests and programs beside them can begin: types are checked of everything else; a name that moved shows here."""

import ast
from functools import cache

from include.stack.layout import REPOSITORY

FOLDERS = ("dags", "faceserve", "include", "pipeline", "plugins", "tests")
FILES = sorted((REPOSITORY / "tests").rglob("*.py"))


def place_of(module):
    """The file of one of ours; None where there is none."""
    path = REPOSITORY.joinpath(*module.split("."))
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.exists()), None)


@cache
def names_in(path):
    """All that the module gives a name at any level, so that none is missed that is set under a condition."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return found


def missing(text):
    """Of what `text` imports from ours, what is not there."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in FOLDERS:
            place = place_of(node.module)
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                told = place is not None and (alias.name in names_in(place) or _sets_names_itself(place))
                if not told and not place_of(whole) and not REPOSITORY.joinpath(*whole.split(".")).is_dir():
                    yield whole


def _sets_names_itself(path):
    return path.stem.endswith("_pb2") or "globals()" in path.read_text()


def test_every_name_that_a_file_imports_from_ours_is_there():
    assert len(FILES) > 400
    assert [f"{path}: {name}" for path in FILES for name in missing(path.read_text())] == []


def test_a_name_that_has_moved_is_seen():
    text = "from tests.browser.visiting import AT_A_DESK, browser_program\nfrom tests import rollback, gone"
    assert list(missing(text)) == ["tests.browser.visiting.browser_program", "tests.gone"]
