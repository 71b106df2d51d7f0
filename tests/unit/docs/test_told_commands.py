"""What a notice, a message or a refusal tells people to type can be typed, and acts on what it is about."""

import ast
import re
from collections.abc import Iterator

import click
import pytest

from pipeline.__main__ import main as pipeline_commands
from pipeline.domain.errors import RegistryBehind, ServiceUnavailable
from pipeline.domain.notices import notice_of
from pipeline.domain.outgoing_events import HotSwapUnconfirmedEvent, ModelRolledBackEvent
from tests.builders import NOW
from tests.unit.docs.programs import commands
from tests.unit.docs.references import ROOT

_ROOMS = ("pipeline", "faceserve", "dags", "plugins")
_NAMES = "|".join(sorted((re.escape(name) for name, _ in commands()), key=len, reverse=True))
_TOLD = re.compile(rf"`(?:{_NAMES})(?:[ ][^`]*)?`|python -m pipeline [^`\n]*")
_PLACE = re.compile(r"\{\w+\}")


def _sentences(source: str) -> Iterator[str]:
    """Every text of a program that is no documentation; whatever is filled in is a word."""
    tree = ast.parse(source)
    inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner |= {id(value) for value in node.values}
            yield "".join(value.value if isinstance(value, ast.Constant) else "WORD" for value in node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.value


def _told() -> dict[str, list[str]]:
    programs = sorted(path for room in _ROOMS for path in (ROOT / room).rglob("*.py"))
    texts = {path: "\n".join(_sentences(path.read_text())) for path in programs}
    texts |= {path: path.read_text() for path in (ROOT / "plugins").rglob("*.js")}
    found = {str(path.relative_to(ROOT)): _TOLD.findall(text) for path, text in texts.items()}
    return {path: texts for path, texts in found.items() if texts}


def _typed(said: str) -> tuple[click.Command, dict[str, object]]:
    """The command and what its parameters become; a word that is no option's stands for whatever it names."""
    words = _PLACE.sub("WORD", said).strip("`").removeprefix("python -m pipeline ").split()
    command: click.Command = pipeline_commands
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    context = click.Context(command)
    given, left, _ = command.make_parser(context).parse_args(words)
    assert left == [], f"{said}: {left} is of no use"
    return command, dict(given)


def _fault(said: str) -> str | None:
    """Why it cannot be typed as it stands; None when it can."""
    if not said.strip("`").startswith("python -m pipeline "):
        return f"{said}: no command by itself"
    try:
        command, given = _typed(said)
    except (KeyError, click.UsageError) as error:
        return f"{said}: {error}"
    lacking = [one.name for one in command.params if one.required and given.get(one.name or "") in (None, ())]
    if any(one.name == "model_type" for one in command.params) and "model_type" not in given:
        lacking.append("model_type")
    return f"{said} lacks {', '.join(map(str, lacking))}" if lacking else None


def test_every_command_that_people_are_told_says_all_that_it_needs_and_names_the_model_type():
    told = _told()
    assert len(told) > 10
    # The sentence goes on behind this one, without a sign.
    texts = {path: [said.replace(" frees the model type", "") for said in all_of] for path, all_of in told.items()}
    assert [f"{path}: {why}" for path, all_of in texts.items() for said in all_of if (why := _fault(said))] == []


@pytest.mark.parametrize("model_type", ["LAUNDRY", "FACE"])
def test_a_command_in_a_notice_acts_on_the_model_type_of_the_notice(model_type):
    of_version = {"id": "e", "model_type": model_type, "model_version": "v2.0.0", "reason": "refused"}
    by = {"rolled_back_from": "v3.0.0", "actor": "monitor", "rolled_back_at": NOW}
    events = (
        HotSwapUnconfirmedEvent(champion="v1.0.0", at=NOW, **of_version),
        ModelRolledBackEvent(promotions_frozen=True, **by, **of_version),
    )
    said = [notice_of(event.outgoing()).body for event in events]
    said.append(str(RegistryBehind(model_type, "v2.0.0", ServiceUnavailable("MLflow", "away"))))
    for sentence in said:
        [command] = re.findall(r"`(python -m pipeline [^`]+)`", sentence)
        found, given = _typed(command)
        with found.make_context("told", command.split()[4:]) as context:
            assert context.params["model_type"] == given["model_type"] == model_type
