"""The README names every file that a change touches, and no others."""

import ast
import re

import pytest

from tests.unit.docs.changes import CHANGES, calls, defines, imports, names, says, takes, touched
from tests.unit.docs.references import ROOT

_README = (ROOT / "README.md").read_text()
_TABLE = _README.partition("\nAnd for these changes, every file:\n")[2].partition("\n## ")[0]
_ROWS = dict(re.findall(r"^\| ([^|`]+) \| (.+) \|$", _TABLE, re.MULTILINE))
_ROWS.pop("change")


def test_every_row_is_followed():
    assert set(_ROWS) == {*CHANGES, "a threshold"}


@pytest.mark.parametrize("change", sorted(_ROWS))
def test_a_change_touches_the_files_that_the_readme_names_and_no_others(change):
    named = {path for path in re.findall(r"`([\w./-]+)`", _ROWS[change]) if "/" in path or (ROOT / path).is_file()}
    assert {_as_named(path, named) for path in touched()[change]} == named


def _as_named(path: str, named: set[str]) -> str:
    """By the folder, where the README names that."""
    return next((folder for folder in named if folder.endswith("/") and path.startswith(folder)), path)


@pytest.mark.parametrize(
    ("source", "is_about_it"),
    [
        ('LABELS = ("양호",)', says("양호")),
        ("def f():\n    import boto3.session", imports("boto3")),
        ("from botocore.config import Config", imports("boto3", "botocore")),
        ("from pipeline.domain.outgoing_events import ModelDeployedEvent", names(r"Model\w+Event")),
        ("class RollbackFailedEvent: ...", names(r"Rollback\w+Event")),
        ("ModelType.LAUNDRY", names("LAUNDRY")),
        ("SECRETS: tuple[str, ...] = ()", defines("SECRETS")),
        ("class Settings: ...", defines("Settings")),
        ('yield Fact("replicas", (), 1)', calls("Fact")),
        ("step(lambda p: p.assemble(run))", takes("assemble")),
    ],
)
def test_what_a_change_is_about_is_found(source, is_about_it):
    assert any(is_about_it(node) for node in ast.walk(ast.parse(source)))
