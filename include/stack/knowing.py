"""Which program knows which secret of the stack: each is told only the secrets it names."""

import os
from dataclasses import replace

from include.stack.executor import broker_variables, distributed
from include.stack.layout import Stack, environment
from include.stack.object_keys import SECRETS as OF_OBJECTS
from include.stack.object_keys import key_of, variable_of


def told(stack: Stack, *beginnings: str, key: str = "") -> dict[str, str]:
    """Variables with secrets for a program, chosen by the prefixes it reads, and the S3 `key` of a component."""
    secret, own = _secret(stack), key_of(key, stack.secrets) if key else {}
    known = {
        name: value for name, value in environment(stack).items() if name in secret and name.startswith(beginnings)
    }
    return {**known, **own}


def tasks_by(stack: Stack, account: str) -> dict[str, str]:
    """Where tasks for workers are: `airflow` sends them, `worker` takes them. Nothing where there are no workers."""
    if not distributed(environment(stack)):
        return {}
    return broker_variables(stack.amqp_url_of(account), stack.dsn("celery", "celery"))


def told_to_s3(stack: Stack) -> dict[str, str]:
    """The S3 server knows every key."""
    return {variable_of(component): stack.secrets[secret] for component, secret in OF_OBJECTS.items()}


def told_to_all(stack: Stack) -> dict[str, str]:
    """Variables without a secret."""
    secret = _secret(stack)
    return {name: value for name, value in environment(stack).items() if name not in secret}


def inherited(stack: Stack) -> dict[str, str]:
    """What every program begins with: a shell that took the stack's variables (`include.stack env`) knows too much, and
    another one may say otherwise where tasks run.
    """
    not_ours = {*_secret(stack), "RETRAIN_EXECUTOR"}
    return {**{name: value for name, value in os.environ.items() if name not in not_ours}, **told_to_all(stack)}


def _secret(stack: Stack) -> set[str]:
    """Names of the variables whose values depend on secrets."""
    others = environment(replace(stack, secrets=dict.fromkeys(stack.secrets, "another")))
    return {name for name, value in environment(stack).items() if value != others[name]}
