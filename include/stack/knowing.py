"""Who knows which secret of the stack: programs are told what they name, and nobody the rest."""

import os
from dataclasses import replace

from include.stack.layout import Stack, environment


def told(stack: Stack, *beginnings: str) -> dict[str, str]:
    """Variables with a secret in them, for a program that reads those which begin so."""
    secret = _secret(stack)
    return {name: value for name, value in environment(stack).items() if name in secret and name.startswith(beginnings)}


def told_to_all(stack: Stack) -> dict[str, str]:
    """Variables without a secret."""
    secret = _secret(stack)
    return {name: value for name, value in environment(stack).items() if name not in secret}


def inherited(stack: Stack) -> dict[str, str]:
    """What every program begins with: a shell that took the stack's variables (`include.stack env`) knows too much."""
    secret = _secret(stack)
    return {**{name: value for name, value in os.environ.items() if name not in secret}, **told_to_all(stack)}


def _secret(stack: Stack) -> set[str]:
    """Names of variables that would be others if the secrets were."""
    others = environment(replace(stack, secrets=dict.fromkeys(stack.secrets, "another")))
    return {name for name, value in environment(stack).items() if value != others[name]}
