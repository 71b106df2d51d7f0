"""Model events to the broker and to people: neither waits for the other."""

from collections.abc import Callable
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

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
    from pipeline.bootstrap import GiveUp, TryAgain

    try:
        publish_and_tell()
    except (AirflowFailException, GiveUp, TryAgain) as error:
        print(f"events stay in the outbox: {error}")


def keep_news(keep: Callable[[Any], Any]) -> str:
    """`keep` puts an event into the outbox; then it is published and told. Returns "", or why it was not stored: a
    caller that gets no second chance has to tell it another way.
    """
    from pipeline.bootstrap import TryAgain

    try:
        step(keep)
    except (AirflowFailException, TryAgain) as error:
        # The cause of the failure, such as a wrong setting, may also keep the news from being stored.
        return str(error)
    finally:
        publish_soon()
    return ""


def tell_at_once(subject: str, body: str) -> None:
    """Tell people without the database and its outbox, by whatever channel there is, so perhaps twice."""
    for send in open_channels().values():
        send({"subject": subject, "body": body})
