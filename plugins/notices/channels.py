"""Mail through connection `smtp_default`, and a webhook (Slack, Teams, Mattermost …) through `notices_webhook`."""

import html
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
from airflow.sdk import BaseHook, BaseNotifier, Context

from plugins.outside.finding import NobodyKnows, find_connection

log = logging.getLogger(__name__)

SMTP, WEBHOOK = "smtp_default", "notices_webhook"
_SECONDS = 10.0
_SHOWN_CHARACTERS = 500
Notice = dict[str, Any]


class WebhookNotifier(BaseNotifier):
    """Posts `{"text": …}`, which Slack and its kin understand; the connection's password is the address."""

    def __init__(self, text: str, conn_id: str = WEBHOOK) -> None:
        super().__init__()
        self.text = text
        self.conn_id = conn_id

    def notify(self, context: Context) -> None:
        address = BaseHook.get_connection(self.conn_id).password or ""
        answer = httpx.post(address, json={"text": self.text}, timeout=_SECONDS)
        if not answer.is_success:
            # httpx would name the address in its error, which is a secret.
            raise OSError(f"it answered {answer.status_code} {answer.reason_phrase}")


def open_channels() -> dict[str, Callable[[Notice], bool]]:
    """One function per connection that exists, or may exist, by its name; each returns whether it could send."""
    channels = {SMTP: _mail, WEBHOOK: _post}
    return {conn_id: partial(_sent, conn_id, make) for conn_id, make in channels.items() if not _surely_absent(conn_id)}


def _mail(connection: Any, notice: Notice) -> BaseNotifier:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    to = connection.extra_dejson.get("to")
    if not to:
        raise LookupError("it names nobody to write to: add `to` to its extra")
    body = f"<p>{html.escape(notice['body'])}</p>"
    return SmtpNotifier(
        to=to, from_email=_sender(connection, to), subject=notice["subject"], html_content=body, smtp_conn_id=SMTP
    )


def _sender(connection: Any, to: str | list[str]) -> str:
    """A mail without a sender cannot be sent, and most servers take only mails from whoever logged in."""
    if sender := connection.extra_dejson.get("from_email"):
        return str(sender)
    if "@" in (connection.login or ""):
        return str(connection.login)
    return (to if isinstance(to, str) else to[0]).split(",")[0].strip()


def _post(_connection: Any, notice: Notice) -> BaseNotifier:
    return WebhookNotifier(f"{notice['subject']}\n{notice['body']}")


def _sent(conn_id: str, make: Callable[[Any, Notice], BaseNotifier], notice: Notice) -> bool:
    secret = ""
    try:
        connection = BaseHook.get_connection(conn_id)
        secret = connection.password or ""
        # Not called as a callback: that would render what people typed as a template.
        make(connection, notice).notify({})
    except Exception as error:  # noqa: BLE001 - whatever keeps a notice from being sent must not fail the task
        why = f"{type(error).__name__}: {error}"
        log.warning("nothing could be sent through %s: %s", conn_id, _without(secret, why)[:_SHOWN_CHARACTERS])
        return False
    return True


def _without(secret: str, text: str) -> str:
    return text.replace(secret, "***") if secret else text


def _surely_absent(conn_id: str) -> bool:
    """False where nobody knows: then people are told later."""
    try:
        return find_connection(conn_id) is None
    except NobodyKnows as error:
        log.warning("connection %s could not be looked up: %s", conn_id, type(error.__cause__).__name__)
        return False
