"""Who may do what on RabbitMQ: `python -m include.stack.accounts FILE [MODE]` writes what it reads at its start.

The Helper service publishes confirmations and hears model events, the pipeline does the opposite, the access service
only publishes, who watches counts. Airflow sends tasks to its workers on a virtual host of their own.
Passwords of that command are in `RABBITMQ_PASSWORD` and, of the others, `RABBITMQ_<NAME>_PASSWORD`.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from include.contract import work_queues
from include.contract.task_queue import ROUTING_KEY, dead_letters_of, queue_arguments
from include.stack.variables import demanded

ADMINISTRATOR = "retraining"
_QUEUE = "mlops.task-confirmed"
_NOTHING = "^$"
_OF_WORKERS = {"vhost": work_queues.VIRTUAL_HOST}
_LASTING = {"durable": True, "auto_delete": False}
_TASKS, _MODELS = r"task\.events", r"model\.events"
# The queue of confirmations with its dead letters, and whatever the Helper service keeps for itself.
_CONFIRMED, _OF_HELPER = r"mlops\.task-confirmed(\.dead)?", r"helper\..*"


@dataclass(frozen=True)
class Account:
    """Regular expressions of the exchanges and queues that the account may declare and delete, publish to or bind, and
    read from.
    """

    name: str
    configure: str = _NOTHING
    write: str = _NOTHING
    read: str = _NOTHING
    virtual_host: str = "/"

    @property
    def secret(self) -> str:
        """Name of its password among the stack's secrets."""
        return f"rabbitmq_{self.name}"


ACCOUNTS = (
    Account(
        "helper",
        configure=f"^({_TASKS}|{_OF_HELPER})$",
        write=f"^({_TASKS}|{_OF_HELPER})$",
        read=f"^({_MODELS}|{_OF_HELPER})$",
    ),
    Account(
        "pipeline",
        configure=f"^({_MODELS}|{_CONFIRMED})$",
        # Dead letters go to their queue, and back to the other one, by its name: through the exchange without one. That
        # also reaches the Helper's queue, which holds the pipeline's own events.
        write=rf"^({_MODELS}|{_CONFIRMED}|amq\.default)$",
        read=f"^({_TASKS}|{_CONFIRMED})$",
    ),
    Account("access", write=f"^{_TASKS}$"),
    Account("watcher"),
    # Whoever may send a task decides what every worker does, so no worker may.
    Account("airflow", write=f"^{work_queues.EXCHANGE}$", virtual_host=work_queues.VIRTUAL_HOST),
    # Celery's workers say that they are alive to an exchange of its own; nobody listens.
    Account(
        "worker",
        configure="^celeryev$",
        write="^celeryev$",
        read=f"^({'|'.join(work_queues.QUEUES)})$",
        virtual_host=work_queues.VIRTUAL_HOST,
    ),
)
SECRETS = ("rabbitmq", *(account.secret for account in ACCOUNTS))


def definitions(passwords: Mapping[str, str]) -> dict[str, Any]:
    """Users, rights, exchanges and the queue of confirmations, as RabbitMQ imports them at each start; a queue that
    exists stays as it is. `passwords` has every one of `SECRETS`.
    """
    everything = {"user": ADMINISTRATOR, "configure": ".*", "write": ".*", "read": ".*"}
    hosts = ("/", work_queues.VIRTUAL_HOST)
    return {
        "vhosts": [{"name": name} for name in hosts],
        "users": [
            _user(ADMINISTRATOR, passwords["rabbitmq"], "administrator"),
            *(_user(account.name, passwords[account.secret]) for account in ACCOUNTS),
        ],
        "permissions": [
            *({**everything, "vhost": name} for name in hosts),
            *(_permission(account) for account in ACCOUNTS),
        ],
        # Only the administrator may make both ends; declared here, they exist for whoever comes first.
        "exchanges": [
            *(_exchange(name) for name in ("model.events", "task.events")),
            _exchange(dead_letters_of(_QUEUE), kind="fanout"),
            {**_exchange(work_queues.EXCHANGE), **_OF_WORKERS},
        ],
        "queues": [
            *(_queue(name, arguments) for name, arguments in queue_arguments(_QUEUE).items()),
            *({**_queue(name, work_queues.arguments()), **_OF_WORKERS} for name in work_queues.QUEUES),
        ],
        "bindings": [
            _binding("task.events", _QUEUE, ROUTING_KEY),
            _binding(dead_letters_of(_QUEUE), dead_letters_of(_QUEUE), ""),
            *({**_binding(work_queues.EXCHANGE, name, name), **_OF_WORKERS} for name in work_queues.QUEUES),
        ],
    }


def _user(name: str, password: str, tags: str = "") -> dict[str, str]:
    # The same password gives the same file, and it cannot be read from the file.
    salt = hashlib.sha256(f"{name} {password}".encode()).digest()[:4]
    digest = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    return {
        "name": name,
        "password_hash": digest,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": tags,
    }


def _exchange(name: str, *, kind: str = "topic") -> dict[str, Any]:
    return {"name": name, "vhost": "/", "type": kind, **_LASTING, "internal": False, "arguments": {}}


def _queue(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "vhost": "/", **_LASTING, "arguments": dict(arguments)}


def _binding(exchange: str, queue: str, key: str) -> dict[str, Any]:
    ends = {"source": exchange, "vhost": "/", "destination": queue, "destination_type": "queue"}
    return {**ends, "routing_key": key, "arguments": {}}


def _permission(account: Account) -> dict[str, str]:
    rights = {"configure": account.configure, "write": account.write, "read": account.read}
    return {"user": account.name, "vhost": account.virtual_host, **rights}


def write(path: Path, passwords: Mapping[str, str], mode: int = 0o600) -> None:
    """Readable by few: whoever reads hashes of passwords may guess the passwords."""
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(json.dumps(definitions(passwords)))


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("mode", default="600")
def main(file: Path, mode: str) -> None:
    """`mode` is as for chmod, because a broker that runs as another user has to read the file."""
    passwords = demanded({secret: f"{secret}_PASSWORD".upper() for secret in SECRETS})
    write(file, passwords, int(mode, 8))


if __name__ == "__main__":
    main()
