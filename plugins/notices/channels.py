"""Mail through connection `smtp_default`, and a webhook (Slack, Teams, Mattermost …) through `notices_webhook`."""

import html
import logging
from collections.abc import Callable
from typing import Any

import httpx
from airflow.sdk import BaseHook, BaseNotifier, Context
from airflow.sdk.exceptions import AirflowNotFoundException

log = logging.getLogger(__name__)

SMTP, WEBHOOK = "smtp_default", "notices_webhook"
_SECONDS = 10.0
Notice = dict[str, Any]


class WebhookNotifier(BaseNotifier):
    """Posts `{"text": …}`, which Slack and its kin understand; the connection's password is the address."""

    def __init__(self, text: str, conn_id: str = WEBHOOK) -> None:
        super().__init__()
        self.text = text
        self.conn_id = conn_id

    def notify(self, context: Context) -> None:
        address = BaseHook.get_connection(self.conn_id).password or ""
        httpx.post(address, json={"text": self.text}, timeout=_SECONDS).raise_for_status()


def open_channels() -> list[Callable[[Notice], bool]]:
    """One function per connection that exists; each returns whether it could send."""
    return [send for conn_id, send in ((SMTP, _mail), (WEBHOOK, _post)) if _exists(conn_id)]


def _mail(notice: Notice) -> bool:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    to = BaseHook.get_connection(SMTP).extra_dejson.get("to")
    if not to:
        log.warning("connection %s names nobody to write to: add `to` to its extra", SMTP)
        return False
    body = f"<p>{html.escape(notice['body'])}</p>"
    return _sent(SmtpNotifier(to=to, subject=notice["subject"], html_content=body, smtp_conn_id=SMTP))


def _post(notice: Notice) -> bool:
    return _sent(WebhookNotifier(f"{notice['subject']}\n{notice['body']}"))


def _sent(notifier: BaseNotifier) -> bool:
    try:
        # Not called as a callback: that would render what people typed as a template.
        notifier.notify({})
    except Exception as error:  # noqa: BLE001 - whatever keeps a notice from leaving must not fail the task
        log.warning("%s could not send: %s", type(notifier).__name__, type(error).__name__)
        return False
    return True


def _exists(conn_id: str) -> bool:
    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return False
    return True
