"""`python -m include.docker.certificate_secrets NAME…`: certificates of `include/stack/certificates.py` as Secrets.

Each owner's is Secret `certificates-OWNER` of the namespace in which this runs, with the rights of its pod. With
`--revoke` everybody gets another key from another authority, and nothing of before opens anything.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import click
from kubernetes import client, config

from include.stack.certificates import revoking, told

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Secrets:
    """A Secret changes as a whole. Raises `kubernetes.client.ApiException`."""

    api: client.CoreV1Api
    namespace: str

    def read(self, owner: str) -> Mapping[str, bytes]:
        try:
            found = self.api.read_namespaced_secret(_named(owner), self.namespace)
        except client.ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return {}
            raise
        return {name: base64.b64decode(body) for name, body in (found.data or {}).items()}

    def write(self, owner: str, files: Mapping[str, bytes]) -> None:
        data = {name: base64.b64encode(body).decode() for name, body in files.items()}
        body = {"metadata": {"name": _named(owner)}, "data": data}
        try:
            self.api.patch_namespaced_secret(_named(owner), self.namespace, body)
        except client.ApiException as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            self.api.create_namespaced_secret(self.namespace, body)


def _named(owner: str) -> str:
    return f"certificates-{owner}"


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar="NAME…")
@revoking
def main(names: tuple[str, ...], revoke: bool) -> None:
    config.load_incluster_config()
    told(Secrets(client.CoreV1Api(), _NAMESPACE.read_text().strip()), names, revoke=revoke)


if __name__ == "__main__":
    main()
