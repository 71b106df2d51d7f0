"""Commands of every program refuse numbers and files that they could not use before they do anything."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from faceserve.__main__ import main as faceserve
from include.bench.__main__ import main as bench
from include.contract.arguments import FiniteRange, OutFile
from include.demo.__main__ import main as demo
from include.demo.drill import main as drill
from include.demo.faces import main as faces
from include.stack.__main__ import main as stack
from pipeline.__main__ import main as pipeline
from pipeline.bootstrap import Pipeline
from tests.desk import Desk
from tests.unit.docs.programs import commands

PROGRAMS = {
    "pipeline": pipeline,
    "faceserve": faceserve,
    "include.bench": bench,
    "include.demo": demo,
    "include.demo.drill": drill,
    "include.demo.faces": faces,
    "include.stack": stack,
}
# Folders of these are made as they are needed, and each benchmark is written as soon as it is done.
MADE = {"include.bench"}


def parameters():
    for program, command in PROGRAMS.items():
        every = commands(command) if isinstance(command, click.Group) else [("", command)]
        for words, one in every:
            yield from ((program, words, parameter) for parameter in one.params)


def test_every_number_has_a_least_value_and_is_one():
    numbers = [
        (f"{program} {words} {one.name}", one.type)
        for program, words, one in parameters()
        if isinstance(one.type, type(click.INT) | type(click.FLOAT))
    ]
    assert len(numbers) > 12
    ranges = [name for name, of in numbers if isinstance(of, click.IntRange | FiniteRange) and of.min is not None]
    assert ranges == [name for name, _ in numbers]


def test_every_file_that_is_written_in_the_end_is_looked_at_in_the_beginning():
    out = {program: one.type for program, _, one in parameters() if one.name == "out" and program not in MADE}
    assert out.keys() == {"pipeline", "faceserve"} and all(isinstance(of, OutFile) for of in out.values())


@pytest.fixture
def asked(monkeypatch):
    """What the pipeline is asked for by commands."""
    desk = Desk(proof=b"PK")
    monkeypatch.setattr(Pipeline, "from_env", classmethod(lambda cls: desk))
    return desk.asked


@pytest.mark.parametrize(
    "command",
    [
        ["accumulate", "--limit", "-5"],
        ["accumulate", "--limit", "0"],
        ["proof", "v1.0.0", "--out", "nowhere/proof.zip"],
        ["proof", "v1.0.0", "--out", "."],
        ["train", "--run-id", "r1", "--dataset-id", "DS-2026-001", "--learning-rate", "nan"],
        ["face-rates", "--days", "nan"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_used_is_refused_before_anything_is_done(asked, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(pipeline, command)
    assert (done.exit_code, asked, list(tmp_path.iterdir())) == (2, [], [])
    assert "Error: Invalid value" in done.stderr


def test_where_a_proof_that_nobody_named_cannot_lie_none_is_made(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("proof-LAUNDRY-v1.0.0.zip").mkdir()
    assert CliRunner().invoke(pipeline, ["proof", "v1.0.0"]).exit_code == 2
    assert asked == []


def test_a_proof_is_written_where_it_was_asked_for(asked, tmp_path):
    out = tmp_path / "proof.zip"
    assert CliRunner().invoke(pipeline, ["proof", "v1.0.0", "--out", str(out)]).exit_code == 0
    assert out.read_bytes() == b"PK"


@pytest.mark.parametrize(
    "plan", [["--in-flight", "0"], ["--seconds", "inf"], ["--rate", "-1"], ["--out", "nowhere/requests.csv"]]
)
def test_a_load_test_that_could_measure_nothing_is_not_begun(plan):
    done = CliRunner().invoke(faceserve, ["load-test", "127.0.0.1:1", *plan])
    assert done.exit_code == 2 and "Error: Invalid value" in done.stderr
    assert not Path("nowhere").exists()
