"""Another value for a secret of the stack: `python -m include.stack rotate NAME`, while it is down.

The next start tells everybody who has to know it: roles of PostgreSQL, accounts of RabbitMQ, keys of S3, the logins of
MLflow and Airflow; what was encrypted or signed with it is encrypted or signed anew.
"""

import secrets
from dataclasses import replace

from include.stack.layout import FERNET, SECRETS, Stack, keep
from include.stack.services import StackError
from include.stack.signing_keys import SigningKeys
from include.stack.supervision import Supervision

SIGNING_KEY = "signing_key"
NAMES = (*sorted(SECRETS), SIGNING_KEY)


def rotate(stack: Stack, name: str) -> None:
    """`name` is one of `NAMES`. Raises `StackError` while the stack runs. Killed in between, it may be done again."""
    if Supervision(stack).running():
        raise StackError("what runs would go on with the old value and be shut out: `make down`, and then again")
    if name == SIGNING_KEY:
        _throw_away(SigningKeys.of_stack(stack.root))
        return
    new = secrets.token_urlsafe(24)
    kept = f"{new} {stack.secrets[name]}" if name == FERNET else new
    keep(replace(stack, secrets={**stack.secrets, name: kept}))


def _throw_away(keys: SigningKeys) -> None:
    """The next start makes others, and signs every registered model with them before a replica asks for one."""
    # In this order: of the private one the public one is made again, but not the other way round.
    keys.public.unlink(missing_ok=True)
    keys.private.unlink(missing_ok=True)
