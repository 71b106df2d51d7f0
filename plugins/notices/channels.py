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
    """One function per connection that exists, or may exist; each returns whether it could send."""
    return [send for conn_id, send in ((SMTP, _mail), (WEBHOOK, _post)) if not _surely_absent(conn_id)]


def _mail(notice: Notice) -> bool:
    return _sent(SMTP, lambda: _mail_to(BaseHook.get_connection(SMTP).extra_dejson.get("to"), notice))


def _mail_to(to: str | None, notice: Notice) -> BaseNotifier | None:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    if not to:
        log.warning("connection %s names nobody to write to: add `to` to its extra", SMTP)
        return None
    body = f"<p>{html.escape(notice['body'])}</p>"
    return SmtpNotifier(to=to, subject=notice["subject"], html_content=body, smtp_conn_id=SMTP)


def _post(notice: Notice) -> bool:
    return _sent(WEBHOOK, lambda: WebhookNotifier(f"{notice['subject']}\n{notice['body']}"))


def _sent(conn_id: str, notifier: Callable[[], BaseNotifier | None]) -> bool:
    try:
        made = notifier()
        if made is None:
            return False
        # Not called as a callback: that would render what people typed as a template.
        made.notify({})
    except Exception as error:  # noqa: BLE001 - whatever keeps a notice from leaving must not fail the task
        log.warning("nothing could be sent through %s: %s", conn_id, type(error).__name__)
        return False
    return True


def _surely_absent(conn_id: str) -> bool:
    """Airflow says *not found* also when a place where secrets are kept did not answer. Then nobody knows, and what
    nobody was told of is told later.
    """
    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return _every_place_says_so(conn_id)
    except Exception as error:  # noqa: BLE001 - as above
        log.warning("connection %s could not be looked up: %s", conn_id, type(error).__name__)
    return False


def _every_place_says_so(conn_id: str) -> bool:
    from airflow.sdk.execution_time import supervisor, task_runner
    from airflow.sdk.execution_time.comms import GetConnection
    from airflow.sdk.execution_time.secrets.execution_api import ExecutionAPISecretsBackend

    try:
        for place in supervisor.ensure_secrets_backend_loaded():
            if isinstance(place, ExecutionAPISecretsBackend):
                # It keeps to itself that the api-server did not answer; the connection to it does not.
                task_runner.SUPERVISOR_COMMS.send(GetConnection(conn_id=conn_id))
            else:
                place.get_connection(conn_id=conn_id)
    except Exception as error:  # noqa: BLE001 - as above
        log.warning("connection %s could not be looked up: %s", conn_id, type(error).__name__)
        return False
    return True
