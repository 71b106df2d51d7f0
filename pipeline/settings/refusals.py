"""Wrong values in sentences: which variable, what it is, what is allowed."""

from collections.abc import Collection
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

from pipeline.domain.errors import GiveUp
from pipeline.settings.elsewhere import Elsewhere
from pipeline.settings.variables import Variable, variables


class SettingsRefused(GiveUp):
    """A value that no setting may have; the message has a sentence for each."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("; ".join(sentences))


def of_types(settings: type[BaseSettings], error: ValidationError, elsewhere: Elsewhere) -> list[str]:
    """Sentences for values of the wrong type, and for values of a policy that contradict each other."""
    return list(dict.fromkeys(_of_type(settings, found, elsewhere) for found in error.errors()))


def of_bounds(settings: BaseSettings, elsewhere: Elsewhere) -> list[str]:
    """Sentences for values of the right type that are out of bounds."""
    return [
        _sentence(variable, _raw(variable, elsewhere) or value, elsewhere)
        for variable in variables(type(settings))
        if variable.bounds is not None
        and (value := variable.value_in(settings)) is not None
        and not variable.bounds.allows(_plain(value))
    ]


def of_rotation(replicas: Collection[str], out_of_rotation: Collection[str]) -> list[str]:
    """Sentences for settings about replicas that contradict each other."""
    if not replicas:
        return ["RETRAIN_FACESERVE_REPLICAS is empty, but must name a replica: nothing could serve"]
    # Only the resolver knows the addresses behind a name.
    discovered = any(address.startswith("dns:") for address in replicas)
    strangers = [address for address in out_of_rotation if address not in replicas and not discovered]
    named = "RETRAIN_FACESERVE_OUT_OF_ROTATION names {}, but must name replicas of RETRAIN_FACESERVE_REPLICAS ({})"
    return [named.format(", ".join(strangers), ", ".join(replicas))] if strangers else []


def _of_type(settings: type[BaseSettings], found: Any, elsewhere: Elsewhere) -> str:
    place = found["loc"]
    for variable in variables(settings):
        if variable.path == place[: len(variable.path)]:
            return _sentence(variable, variable.raw or found["input"], elsewhere)
    # A policy as a whole: its own check names the fields that contradict each other.
    why = str(found.get("ctx", {}).get("error", found["msg"]))
    named = [v for v in variables(settings) if v.path[: len(place)] == place and v.path[-1] in why]
    values = ", ".join(f"{_named(v, elsewhere)} is {_raw(v, elsewhere) or v.default}" for v in named)
    return f"{values or '.'.join(map(str, place))}: {why}"


def _named(variable: Variable, elsewhere: Elsewhere) -> str:
    """The variable's name, with the place of its value where that is not the environment."""
    if variable.raw is not None or variable.name not in elsewhere:
        return variable.name
    return f"{variable.name} of {elsewhere[variable.name].place}"


def _raw(variable: Variable, elsewhere: Elsewhere) -> str | None:
    found = elsewhere.get(variable.name)
    return variable.raw or (found.raw if found else None)


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _sentence(variable: Variable, value: object, elsewhere: Elsewhere) -> str:
    shown = "'**********'" if variable.kind is SecretStr else repr(str(value))
    return f"{_named(variable, elsewhere)} is {shown}, but must be {variable.allowed}"
