"""`python -m include.docker.certificate_secrets NAME…`: certificates of `include/stack/certificates.py` as Secrets.

Each owner's is Secret `certificates-OWNER` of the namespace in which this runs, with the rights of its pod. With
`--revoke` everybody gets another key from another authority, and nothing of before opens anything.
"""

import base64
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import click
from kubernetes import client, config

from include.stack.certificates import OvertakenError, revoking, told

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Secrets:
    """A Secret changes as a whole, and only from what was read. Raises `kubernetes.client.ApiException`."""

    api: client.CoreV1Api
    namespace: str

    def alone(self) -> AbstractContextManager[None]:
        """Nobody is waited for: a change names the version of the Secret that it is made to."""
        return nullcontext()

    def read(self, owner: str) -> Mapping[str, bytes]:
        return _files(self._found(owner))

    def write(self, owner: str, files: Mapping[str, bytes], there: Mapping[str, bytes]) -> None:
        found = self._found(owner)
        if _files(found) != there:
            raise OvertakenError(owner)
        data = {name: base64.b64encode(body).decode() for name, body in files.items()}
        try:
            if found is None:
                new = {"metadata": {"name": _named(owner)}, "data": data}
                self.api.create_namespaced_secret(self.namespace, new)
            else:
                version = {"resourceVersion": found.metadata.resource_version}
                self.api.patch_namespaced_secret(_named(owner), self.namespace, {"metadata": version, "data": data})
        except client.ApiException as error:
            if error.status == HTTPStatus.CONFLICT:
                raise OvertakenError(owner) from error
            raise

    def _found(self, owner: str) -> client.V1Secret | None:
        try:
            return self.api.read_namespaced_secret(_named(owner), self.namespace)
        except client.ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise


def _files(secret: client.V1Secret | None) -> Mapping[str, bytes]:
    data = (secret.data if secret else None) or {}
    return {name: base64.b64decode(body) for name, body in data.items()}


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
