"""The boards are what Grafana's own schema has: a field that it does not know is passed over in silence."""

import copy
import json
import types
import typing
from enum import Enum

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from include.demo.boards import BOARDS

plugins.register_default_plugins()
# Of annotations only Prometheus' own part of Grafana knows these, and the schema is of what all sources have.
OF_PROMETHEUS = {"titleFormat", "step"}


def read(board):
    """As Grafana's schema reads it: places of fields that it does not know, or has otherwise, or of another type."""
    made = Dashboard.from_json(copy.deepcopy(board))
    kept = json.loads(JSONEncoder().encode(made))
    return sorted({*lost(board, kept, ""), *misfits(made, Dashboard, "")})


def lost(given, kept, place):
    if isinstance(given, dict) and isinstance(kept, dict):
        known = {name: one for name, one in given.items() if name in kept}
        gone = {f"{place}/{name}" for name in given.keys() - kept.keys() if name not in OF_PROMETHEUS}
        return gone.union(*(lost(one, kept[name], f"{place}/{name}") for name, one in known.items()))
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        return set().union(
            *(lost(one, other, f"{place}/{n}") for n, (one, other) in enumerate(zip(given, kept, strict=True)))
        )
    return set() if given == kept else {place}


def misfits(value, hint, place):
    """Places of what is not of the type that the schema says."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        found = [misfits(value, one, place) for one in options]
        return min(found, key=len) if all(found) else set()
    if origin is typing.Literal:
        return set() if value in options else {place}
    if origin is list and isinstance(value, list):
        return set().union(*(misfits(one, options[0], f"{place}/{n}") for n, one in enumerate(value)))
    if origin is dict and isinstance(value, dict):
        return set().union(*(misfits(one, options[1], f"{place}/{name}") for name, one in value.items()))
    if origin or not fits(value, hint):
        return {place}
    fields = typing.get_type_hints(type(value)) if type(value).__module__.startswith("grafana_foundation_sdk") else {}
    return set().union(*(misfits(getattr(value, name), one, f"{place}/{name}") for name, one in fields.items()))


def fits(value, hint):
    if hint in (typing.Any, object):
        return True
    if issubclass(hint, Enum):
        return value in {one.value for one in hint}
    if hint in (int, float):
        return isinstance(value, (int, float) if hint is float else int) and not isinstance(value, bool)
    return isinstance(value, hint)


@pytest.mark.parametrize("name", BOARDS)
def test_grafana_knows_every_field_of_a_board_and_its_type(name):
    assert read(BOARDS[name]) == []


def field(panel):
    return panel["fieldConfig"]["defaults"]


WRONG = {
    "a field that is misspelt": lambda panel: panel.update(discription="What to do."),
    "an option that is misspelt": lambda panel: field(panel).update(units="s"),
    "a place without a number": lambda panel: panel["gridPos"].update(h="8"),
    "a title that is none": lambda panel: panel.update(title=7),
    "a query that is misspelt": lambda panel: panel["targets"][0].update(legendformat="{{model}}"),
    "a mode that there is not": lambda panel: field(panel).update(thresholds={"mode": "relative", "steps": []}),
    "a bar that is no number": lambda panel: field(panel).update(
        thresholds={"mode": "absolute", "steps": [{"value": "0.8", "color": "red"}]}
    ),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("name", BOARDS)
def test_what_grafana_would_not_take_is_noticed(name, what):
    board = copy.deepcopy(BOARDS[name])
    WRONG[what](board["panels"][3])
    assert read(board)


def test_a_unit_is_one_that_grafana_has():
    from grafana_foundation_sdk.models import units

    known = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}
    used = {field(panel)["unit"] for board in BOARDS.values() for panel in board["panels"]}
    assert len(known) > 100 and used - known == set()
