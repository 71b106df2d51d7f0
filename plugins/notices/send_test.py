"""`python -m plugins.notices.send_test`: one notice through every channel, and what keeps it from leaving.

Not called `__main__`: Airflow imports the files of this folder under their own names.
"""

import logging
import os
import sys

import click

from plugins.notices.channels import SMTP, WEBHOOK, open_channels

_NOTICE = {"subject": "A test notice", "body": "Somebody tries whether notices of the retraining reach you."}


def send_test() -> int:
    """The exit status: 0 when every channel took the notice."""
    sent = {conn_id: send(_NOTICE) for conn_id, send in open_channels().items()}
    for conn_id in (SMTP, WEBHOOK):
        print(f"{conn_id}: {'sent' if sent.get(conn_id) else 'NOT SENT' if conn_id in sent else 'no such connection'}")
    return 0 if sent and all(sent.values()) else 1


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # Else Airflow takes this for a task without an api-server, and does not look into its own database.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    sys.exit(send_test())


if __name__ == "__main__":
    main()
