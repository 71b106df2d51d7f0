"""`python -m faceserve`: run a replica, or ask one how it is."""

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

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
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--engine", default="openvino", show_default=True)
def vet(folder: Path, engine: str) -> None:
    """Try out the downloaded artifact in FOLDER; exit status 65 and the reason when it must not serve."""
    from faceserve import vetting
    from faceserve.errors import BadArtifact

    try:
        vetting.vet(folder, engine)
    except BadArtifact as error:
        click.echo(str(error))
        sys.exit(vetting.REFUSED)


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
