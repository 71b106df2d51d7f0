"""Which code made a model: a commit where there is one, and a hash of the sources in any case."""

import re
import shutil
import subprocess

import pytest

from pipeline.adapters import code_version


def test_without_a_checkout_the_commit_is_unknown_and_nothing_fails(monkeypatch, tmp_path):
    monkeypatch.setattr(code_version, "_REPOSITORY", tmp_path)
    assert code_version.git_commit.__wrapped__() == "unknown"


@pytest.mark.skipif(shutil.which("git") is None, reason="no git on this machine")
def test_in_a_checkout_it_is_the_commit(monkeypatch, tmp_path):
    who = ["-c", "user.name=kim", "-c", "user.email=kim@example.com"]
    for command in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(code_version, "_REPOSITORY", tmp_path)
    assert re.fullmatch(r"[0-9a-f]{40}", code_version.git_commit.__wrapped__())


def test_other_sources_are_another_version_and_the_same_ones_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr(code_version, "_REPOSITORY", tmp_path)
    source = tmp_path / "pipeline" / "policy.py"
    source.parent.mkdir()
    found = []
    for text in ("bar = 0.9", "bar = 0.8", "bar = 0.9"):
        source.write_text(text)
        found.append(code_version.code_version.__wrapped__())
    assert found[0] == found[2] != found[1] and len(found[0]) == 12
