"""Environment variables that a program cannot do without."""

import os
from collections.abc import Mapping

import click


def demanded(names: Mapping[str, str]) -> dict[str, str]:
    """The values of `names`, which are what is wanted: its variable; a value may be empty. Ends the command with a
    sentence that names all variables that are not set.
    """
    if missing := [name for name in names.values() if name not in os.environ]:
        raise click.UsageError(f"{', '.join(missing)} must be set")
    return {wanted: os.environ[name] for wanted, name in names.items()}
