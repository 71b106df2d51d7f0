"""`python -m faceserve`: run a replica, ask one how it is, or see what it can take."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from include.contract.arguments import FiniteRange, OutFile

if TYPE_CHECKING:
    from include.contract.lifecycle_client import LifecycleClient, Status

_A_YEAR = 365 * 24 * 3600.0
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
# Where the pipeline runs, its own variables say how a replica is asked.
_authority = click.option(
    "--ca", type=_FILE, envvar="RETRAIN_FACESERVE_TLS_CA", help="Who signed its certificate (PEM)."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The model server. Settings are FACESERVE_* variables (see faceserve/settings.py)."""


@main.command()
def serve() -> None:
    """Serve until SIGTERM."""
    from pydantic import ValidationError

    from faceserve.server import Server
    from faceserve.settings import Settings
    from include.contract.log_lines import write_lines

    try:
        settings = Settings()
        write_lines(settings.log_format, replica=settings.replica)
        server = Server(settings)
    except (ValidationError, ValueError, RuntimeError, OSError) as error:
        raise click.ClickException(str(error)) from None
    server.run()


@main.command()
@click.argument("address")
@click.option("--model", default="laundry", show_default=True)
@click.option("--token", envvar=["FACESERVE_LIFECYCLE_TOKEN", "RETRAIN_FACESERVE_TOKEN"], default="",
              help="Lifecycle token.")  # fmt: skip
@_authority
@click.option("--certificate", type=_FILE, envvar="RETRAIN_FACESERVE_TLS_CERTIFICATE", help="To show it (PEM).")
@click.option("--key", type=_FILE, envvar="RETRAIN_FACESERVE_TLS_KEY", help="Its private key (PEM).")
@click.option("--watch", is_flag=True, help="Go on: a line after every change.")
def status(address: str, model: str, watch: bool, **doors: Any) -> None:
    """What the replica whose lifecycle port is ADDRESS (host:port) serves."""
    from include.contract.lifecycle_client import FaceserveError

    try:
        for found in _statuses(_client(address, **doors), model, watch):
            click.echo(json.dumps(asdict(found), ensure_ascii=False))
    except FaceserveError as error:
        raise click.ClickException(str(error)) from None


@main.command("load-test")
@click.argument("addresses", nargs=-1, required=True)
@click.option("--model", default="laundry", show_default=True)
@click.option("--photo", "photos", type=click.Path(exists=True, dir_okay=False, path_type=Path), multiple=True,
              help="Photos to send in turn; without any, one made up.")  # fmt: skip
@click.option("--seconds", type=FiniteRange(0, _A_YEAR, min_open=True), default=10.0, show_default=True)
@click.option(
    "--rate",
    type=FiniteRange(0),
    default=0.0,
    help="Requests a second, whatever the answers take; 0: as fast as answers come.",
)
@click.option("--in-flight", type=click.IntRange(1), default=4, show_default=True,
              help="Requests at once when there is no rate.")  # fmt: skip
@click.option("--protocol", type=click.Choice(["photos", "open-inference"]), default="photos", show_default=True,
              help="Photos as they are, or decoded to tensors that other model servers understand too.")  # fmt: skip
@click.option(
    "--round-robin", is_flag=True, help="Clients that know all replicas and ask those that are ready in turn."
)
@_authority
@click.option("--out", type=OutFile(), help="CSV with one line a request.")
def load_test(addresses: tuple[str, ...], photos: tuple[Path, ...], out: Path | None, **plan: Any) -> None:
    """Send photos to the replicas at ADDRESSES (host:port …) and say how they coped; exit status 1 if any failed."""
    from faceserve import load_test as load
    from include.contract.certificate_files import CertificateFiles

    try:
        CertificateFiles(plan["ca"]).read()
    except (OSError, ValueError) as error:
        raise click.ClickException(f"--ca: {error}") from None
    bodies = [path.read_bytes() for path in photos] or [load.sample_photo()]
    started = time.monotonic()
    requests = load.run(load.Plan(addresses, photos=bodies, **plan))
    found = load.summary(requests, time.monotonic() - started)
    if out:
        load.write(requests, out)
    click.echo(json.dumps(found, ensure_ascii=False, indent=1))
    sys.exit(1 if found["failed"] else 0)


def _client(address: str, token: str, ca: Path | None, certificate: Path | None, key: Path | None) -> "LifecycleClient":
    from include.contract.lifecycle_client import ClientTls, LifecycleClient

    try:
        tls = ClientTls.of(ca, certificate, key)
    except ValueError as error:
        raise click.UsageError(f"--certificate, --key and --ca: {error}") from None
    return LifecycleClient(address, token=token, tls=tls)


def _statuses(client: "LifecycleClient", model: str, watch: bool) -> Iterator["Status"]:
    with client:
        yield from client.watch(model, timeout_seconds=_A_YEAR) if watch else [client.status(model)]


if __name__ == "__main__":
    main()
