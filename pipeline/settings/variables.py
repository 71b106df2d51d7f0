"""Which environment variable sets which value, however deep the value lies in a policy."""

import ast
import inspect
import json
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from pipeline.domain.bounds import Bounds, OneOf, Range

PREFIX = "RETRAIN_"
_FIRST_SECTION = "Outside systems"


@dataclass(frozen=True)
class Named:
    """What variables the fields of a policy have: `prefix` before each, but for those with a name of their own.

    None instead of a name: the field is no setting.
    """

    prefix: str = ""
    own: Mapping[str, str | None] = field(default_factory=dict)

    def __call__(self, name: str) -> str | None:
        return self.own.get(name, f"{self.prefix}{name}")


@dataclass(frozen=True)
class Variable:
    """One setting: `path` leads to its value in `Settings`; its text stands in the class `owner`, that of its section
    under the field `section_of`.
    """

    name: str
    path: tuple[str, ...]
    kind: Any
    bounds: Bounds | None
    default: object
    owner: type
    section_of: tuple[type, str] | None

    @property
    def meaning(self) -> str:
        return _docstrings(self.owner)[self.path[-1]]

    @property
    def section(self) -> str:
        """What it belongs to, for people."""
        return _docstrings(self.section_of[0])[self.section_of[1]] if self.section_of else _FIRST_SECTION

    @property
    def raw(self) -> str | None:
        """What the environment says; empty counts as not set, so that a template may leave it out."""
        found = {name.lower(): value for name, value in os.environ.items()}
        return found.get(self.name.lower()) or None

    def parsed(self, raw: str) -> Any:
        """Lists are JSON; what is none is left to the check of types."""
        if get_origin(self.kind) is not tuple:
            return raw
        try:
            return json.loads(raw)
        except ValueError:
            return raw

    def value_in(self, settings: object) -> Any:
        for name in self.path:
            settings = getattr(settings, name)
        return settings

    @property
    def allowed(self) -> str:
        """`a whole number, at least 1`."""
        kind = _kind_in_words(self.kind)
        if self.bounds is None:
            return kind
        if not isinstance(self.bounds, Range):
            return str(self.bounds)
        return f"{kind}{' ' if str(self.bounds).startswith('from') else ', '}{self.bounds}"


def tree(settings: type[BaseSettings], raw: Callable[[Variable], str | None]) -> dict[str, Any]:
    """Values of the variables that have one, each at its place in the tree of policies."""
    found: dict[str, Any] = {}
    for variable in variables(settings):
        if (text := raw(variable)) is not None:
            place = found
            for name in variable.path[:-1]:
                place = place.setdefault(name, {})
            place[variable.path[-1]] = variable.parsed(text)
    return found


class Environment(PydanticBaseSettingsSource):
    """Values of the variables that are set."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return tree(self.settings_cls, lambda variable: variable.raw)


@cache
def variables(settings: type[BaseSettings]) -> tuple[Variable, ...]:
    """Every setting, in the order in which they stand; fields after a policy belong to its section."""
    return tuple(_of_settings(settings))


def _of_settings(settings: type[BaseSettings]) -> Iterator[Variable]:
    section, hints = None, get_type_hints(settings, include_extras=True)
    for name, info in settings.model_fields.items():
        kind, extras = _unpacked(hints[name])
        if is_dataclass(kind):
            section = (settings, name)
            named = next((extra for extra in extras if isinstance(extra, Named)), Named())
            yield from _of_policy(info.default, (name,), named, section)
        else:
            variable = f"{PREFIX}{name}".upper()
            yield Variable(variable, (name,), kind, _bounds(extras), info.default, settings, section)


def _of_policy(policy: Any, path: tuple[str, ...], named: Named, section: tuple[type, str]) -> Iterator[Variable]:
    hints = get_type_hints(type(policy), include_extras=True)
    for one in fields(policy):
        kind, extras = _unpacked(hints[one.name])
        default, here = getattr(policy, one.name), (*path, one.name)
        if is_dataclass(kind):
            yield from _of_policy(default, here, named, (type(policy), one.name))
        elif (name := named(one.name)) is not None:
            variable = f"{PREFIX}{name}".upper()
            yield Variable(variable, here, kind, _bounds(extras), default, type(policy), section)


def _bounds(extras: tuple[Any, ...]) -> Bounds | None:
    return next((extra for extra in extras if isinstance(extra, Bounds)), None)


def _unpacked(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    return (get_args(hint)[0], get_args(hint)[1:]) if get_origin(hint) is Annotated else (hint, ())


@cache
def _docstrings(owner: type) -> dict[str, str]:
    """The string under each field, in one line."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for declared, below in zip(body.body, body.body[1:], strict=False):
        match declared, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found


def _kind_in_words(kind: Any) -> str:
    arguments = [one for one in get_args(kind) if one is not type(None)]
    if get_origin(kind) is Literal:
        return OneOf(tuple(map(str, arguments))).__str__()
    if isinstance(kind, type) and issubclass(kind, Enum):
        return str(OneOf(tuple(str(one.value) for one in kind)))
    if get_origin(kind) is tuple:
        inner = _kind_in_words(arguments[0])
        return "a JSON list" if inner == "text" else f"a JSON list, each {inner}"
    if arguments:
        return _kind_in_words(arguments[0])
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "text")
