"""Variables that look like settings and are none: nobody reads them, so a typing error would go unnoticed."""

import os
from collections.abc import Iterable
from difflib import get_close_matches

from pipeline.settings.variables import PREFIX, Variable


def strangers(known: Iterable[Variable]) -> list[str]:
    """A sentence for each variable of the environment that begins like a setting's and sets nothing."""
    names = [variable.name.removeprefix(PREFIX) for variable in known]
    looking_like = {name: name.upper().removeprefix(PREFIX) for name in os.environ if name.upper().startswith(PREFIX)}
    unknown = {name: bare for name, bare in sorted(looking_like.items()) if bare not in names}
    return [_sentence(name, get_close_matches(bare, names, 1)) for name, bare in unknown.items()]


def _sentence(name: str, nearest: list[str]) -> str:
    meant = f"was {PREFIX}{nearest[0]} meant?" if nearest else "`python -m pipeline settings` lists them all"
    return f"{name} is no setting and does nothing: {meant}"
