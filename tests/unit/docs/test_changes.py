"""The README names every file that a change touches: those where the word stands that the change is about."""

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from tests.unit.docs.references import ROOT

_EVENT = (
    r"(Canary|Confirmations|Dag|DeadLetters|FaceRates|HotSwap|LiveAccuracy|Model|Retraining|Rollback|Run|Step|Training)"
    r"\w+Event"
)
_PRODUCT = ("pipeline", "faceserve", "dags", "plugins", "include/helper_service", "include/stand_in")
_RIGHTS = "include/stack/object_rights.py"


def says(pattern: str) -> Callable[[ast.AST], bool]:
    """A text in the code, docstrings aside, that matches."""
    wanted = re.compile(pattern)
    return lambda node: (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and wanted.fullmatch(node.value) is not None
    )


def names(pattern: str) -> Callable[[ast.AST], bool]:
    """A class of that name is defined or imported, or an attribute of it asked for."""
    wanted = re.compile(pattern)

    def found(node: ast.AST) -> bool:
        if isinstance(node, ast.ImportFrom):
            return any(wanted.fullmatch(name.name) for name in node.names)
        name = getattr(node, "name", "") if isinstance(node, ast.ClassDef) else getattr(node, "attr", "")
        return wanted.fullmatch(name) is not None

    return found


def either(*found: Callable[[ast.AST], bool]) -> Callable[[ast.AST], bool]:
    return lambda node: any(one(node) for one in found)


def imports(*libraries: str) -> Callable[[ast.AST], bool]:
    def found(node: ast.AST) -> bool:
        if isinstance(node, ast.ImportFrom):
            return (node.module or "").split(".")[0] in libraries
        return isinstance(node, ast.Import) and any(name.name.split(".")[0] in libraries for name in node.names)

    return found


@pytest.mark.parametrize(
    ("change", "is_about_it"),
    [
        ("a third label", says("양호")),
        ("a third model type", either(says("(FACE|face|LAUNDRY)/?"), names("LAUNDRY"))),
        ("a backbone", says("EfficientNetLite0")),
        ("a field of an event that goes out", either(says(_EVENT), names(_EVENT))),
        ("GCS instead of S3", imports("boto3", "botocore")),
    ],
)
def test_a_change_touches_the_files_that_the_readme_names_and_no_others(change, is_about_it):
    assert set(_files_with(is_about_it)) == _named(change)


@pytest.mark.parametrize(
    ("source", "is_about_it"),
    [
        ('LABELS = ("양호",)', says("양호")),
        ("def f():\n    import boto3.session", imports("boto3")),
        ("from botocore.config import Config", imports("boto3", "botocore")),
        ("from pipeline.domain.outgoing_events import ModelDeployedEvent", names(_EVENT)),
        ("class RollbackFailedEvent: ...", names(_EVENT)),
        ("ModelType.LAUNDRY", names("LAUNDRY")),
    ],
)
def test_what_a_change_is_about_is_found(source, is_about_it):
    assert any(is_about_it(node) for node in ast.walk(ast.parse(source)))


def _named(change: str) -> set[str]:
    row = next(line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith(f"| {change} |"))
    return {path for path in re.findall(r"`([\w./]+)`", row) if "/" in path}


def _files_with(is_about_it: Callable[[ast.AST], bool]) -> Iterator[str]:
    for path in (ROOT / _RIGHTS, *(path for room in _PRODUCT for path in (ROOT / room).rglob("*.py"))):
        if any(is_about_it(node) for node in ast.walk(ast.parse(path.read_text()))):
            yield str(path.relative_to(ROOT))
