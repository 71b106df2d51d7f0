"""Another value for a secret of the stack: `python -m include.stack rotate NAME`, while it is down.

What opens the replicas' doors may also change while it runs: they take the old and the new one until those of the
stack's programs who call them were started again, and answer meanwhile. A training that runs is cut off, which costs
a try. The access service is none of these programs: the old token to enrol ends for it at once. Else the next start
tells everybody who has to know it: roles of PostgreSQL, accounts of RabbitMQ, keys of S3, the logins of MLflow and
Airflow; what was encrypted or signed with it is encrypted or signed anew.
"""

import secrets
import time
from dataclasses import replace

from include.stack import door_tokens
from include.stack.layout import FERNET, SECRETS, Stack, keep
from include.stack.runner import all_services
from include.stack.services import StackError, demand_complete
from include.stack.signing_keys import SigningKeys
from include.stack.supervision import Supervision

# Replicas look at the file once a second: whoever calls after that, with the new one, is let in.
_TAKEN_SECONDS = 1.5
SIGNING_KEY = "signing_key"
NAMES = (*sorted(SECRETS), SIGNING_KEY)


def rotate(stack: Stack, name: str) -> None:
    """`name` is one of `NAMES`. Raises `StackError` for most while the stack runs. Killed in between, it may be done
    again.
    """
    demand_complete(stack)
    running = Supervision(stack).running()
    if running and name in door_tokens.SECRETS.values():
        _while_it_runs(stack, name)
        return
    if running:
        raise StackError("what runs would go on with the old value and be shut out: `make down`, and then again")
    if name == SIGNING_KEY:
        _throw_away(SigningKeys.of_stack(stack.root))
        return
    new = secrets.token_urlsafe(24)
    kept = f"{new} {stack.secrets[name]}" if name == FERNET else new
    keep(replace(stack, secrets={**stack.secrets, name: kept}))


def _while_it_runs(stack: Stack, name: str) -> None:
    """An old token that is still in the file opens until the next start, if this is killed."""
    (calls,) = (calls for calls, secret in door_tokens.SECRETS.items() if secret == name)
    new, folder = secrets.token_urlsafe(24), stack.folder("tokens")
    door_tokens.write(folder, calls, new, stack.secrets[name])
    time.sleep(_TAKEN_SECONDS)
    after = keep(replace(stack, secrets={**stack.secrets, name: new}))
    supervision = Supervision(after)
    up = [
        one for service in all_services(after) for one in service.programs if supervision.state(one.name) == "RUNNING"
    ]
    supervision.renew(up, [program for program in up if new in program.environment.values()])
    door_tokens.write(folder, calls, new)


def _throw_away(keys: SigningKeys) -> None:
    """The next start makes others, and signs every registered model with them before a replica asks for one."""
    # In this order: of the private one the public one is made again, but not the other way round.
    keys.public.unlink(missing_ok=True)
    keys.private.unlink(missing_ok=True)
