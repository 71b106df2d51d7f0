"""Model events to the broker and to people: neither waits for the other."""

from typing import Any

from plugins.notices import tell_people
from plugins.notices.channels import open_channels
from plugins.steps import step


def publish_and_tell() -> int:
    """How many events were published. Raises `TryAgain` while the broker is away; people are told before, as they may
    have to act.
    """
    try:
        tell_people()
    finally:
        published = int(step(lambda p: p.publish_events()))
    return published


def publish_soon(_context: Any = None) -> None:
    """Where something else matters more, or after a failure: what cannot be published now stays in the outbox for the
    next task.
    """
    from pipeline.bootstrap import TryAgain

    try:
        publish_and_tell()
    except TryAgain as error:
        print(f"events stay in the outbox: {error}")


def tell_at_once(subject: str, body: str) -> None:
    """What cannot wait for the database: by whatever channel there is, without the outbox, so perhaps twice."""
    for send in open_channels().values():
        send({"subject": subject, "body": body})
