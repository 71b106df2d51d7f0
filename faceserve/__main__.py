"""`python -m faceserve`: run a replica, or ask one how it is."""

import json
import logging
import sys
from dataclasses import asdict

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The model server. Settings are FACESERVE_* variables (see faceserve/settings.py)."""


@main.command()
def serve() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    from faceserve.server import Server
    from faceserve.settings import Settings

    Server(Settings()).run()


@main.command()
@click.argument("address")
@click.option("--model", default="laundry", show_default=True)
@click.option("--token", envvar="FACESERVE_LIFECYCLE_TOKEN", default="", help="Lifecycle token.")
def status(address: str, model: str, token: str) -> None:
    """What the replica at ADDRESS (host:port) serves."""
    from include.contract.client import FaceserveClient, FaceserveError

    try:
        with FaceserveClient([address], token=token) as client:
            click.echo(json.dumps(asdict(client.status(model)), ensure_ascii=False))
    except FaceserveError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
