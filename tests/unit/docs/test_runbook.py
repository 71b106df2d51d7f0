"""What the runbook quotes is what the product says."""

import ast
import re

import pytest

from pipeline.bootstrap.kinds import MADE_ELSEWHERE
from pipeline.domain.faces.watching import FaceWatchPolicy, Which
from tests.unit.docs.programs import commands
from tests.unit.docs.references import ROOT


def sentences() -> list[str]:
    """Every text in the domain and the steps; `…` stands for what is filled in."""
    files = [*(ROOT / "pipeline/domain").rglob("*.py"), *(ROOT / "pipeline/steps").rglob("*.py")]
    nodes = (node for path in files for node in ast.walk(ast.parse(path.read_text())))
    return [
        "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        for node in nodes
        if isinstance(node, ast.JoinedStr)
    ]


def quoted() -> list[str]:
    return re.findall(r'^\| "(.+?)" \|', (ROOT / "include/runbook.md").read_text(), re.MULTILINE)


def test_every_refusal_that_the_runbook_quotes_is_one():
    said = sentences()
    assert len(quoted()) > 8
    wrong = [quote for quote in quoted() if not any(_said(quote, sentence) for sentence in said)]
    assert wrong == []


def test_the_runbook_names_the_commands_that_take_a_face_model_and_no_others():
    (face,) = MADE_ELSEWHERE
    sentence = re.search(rf"^`{face}` may be said to ([^:]+):", (ROOT / "include/runbook.md").read_text(), re.MULTILINE)
    take = {
        name
        for name, command in commands()
        for option in command.params
        if "--model-type" in option.opts and face in option.metavar
    }
    assert sentence and set(re.findall(r"`([a-z- ]+)`", sentence[1])) == take


@pytest.mark.parametrize("which", Which)
def test_the_bars_of_faces_that_the_runbook_names_are_those_of_the_policy(which):
    bars = FaceWatchPolicy().bars(which)
    row = re.search(rf"^\| {which}: .*$", (ROOT / "include/runbook.md").read_text(), re.MULTILINE)
    assert row and [float(number) for number in re.findall(r"([\d.]+) (?:%|points)", row[0])] == pytest.approx(
        [100 * share for share in (bars.alert, bars.margin / 2, bars.most, bars.margin)]
    )


def _said(quote: str, sentence: str) -> bool:
    pattern = ".*".join(map(re.escape, quote.split("…")))
    return re.search(pattern, sentence) is not None
