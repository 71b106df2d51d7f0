"""The key pair by which replicas know our models, made once: who trains has the private key, who serves the public one.

`python -m include.stack.signing_keys PRIVATE PUBLIC` makes it where it is not there yet;
`… PRIVATE` signs, once, the models of before.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from include.stack.whole_files import write


class SigningKeyError(RuntimeError):
    """Models cannot be signed; one sentence that says what to do."""


@dataclass(frozen=True)
class SigningKeys:
    """PEM files; the folder of the private key also remembers whether models of before there was one were signed."""

    private: Path
    public: Path

    @classmethod
    def of_stack(cls, root: Path) -> "SigningKeys":
        return cls(root / "keys" / "signing.pem", root / "keys" / "verifying.pem")

    @property
    def variables(self) -> dict[str, str]:
        """For whoever trains, and for whoever serves."""
        return {"RETRAIN_SIGNING_KEY": str(self.private), "FACESERVE_VERIFYING_KEY": str(self.public)}

    @property
    def earlier_models_signed(self) -> Path:
        """A file that is there once they are."""
        return self.private.parent / "earlier-models-signed"

    def make(self) -> None:
        """Raises `SigningKeyError` where only the public one is left: another pair would shut out every model."""
        if not self.private.exists():
            if self.public.exists():
                raise SigningKeyError(
                    f"the key that signs models, {self.private}, is gone: bring it back, or delete {self.public} "
                    "to have new keys made and the models signed with them"
                )
            # Of models that were signed with a key that is no more, none is known to be.
            self.earlier_models_signed.unlink(missing_ok=True)
            write(self.private, _new_key(), mode=0o600)
        if not self.public.exists():
            write(self.public, _public_of(self.private.read_bytes()), mode=0o644)

    def nothing_earlier(self) -> None:
        """Every model there is was signed when it was made."""
        self.earlier_models_signed.touch()

    def sign_earlier(self, variables: Mapping[str, str]) -> list[str]:
        """Sign, once, the versions that were accepted before there was a key; `variables` are those of the pipeline.

        A sentence for each that has no signature now. Raises `SigningKeyError`.
        """
        if self.earlier_models_signed.exists():
            return []
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", "sign-models"],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise SigningKeyError(f"the models of before cannot be signed, and no replica would take them: {said}")
        self.nothing_earlier()
        left = [(of, one["left"]) for of, one in json.loads(done.stdout.strip().splitlines()[-1]).items()]
        return [f"{of} {version} is not signed: {why}" for of, found in left for version, why in found.items()]


# Healthchecks read this module every few seconds: what makes keys is imported when it does.


def _new_key() -> bytes:
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())


def _public_of(private: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization as forms

    key = forms.load_pem_private_key(private, None).public_key()
    return key.public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("private", type=click.Path(path_type=Path))
@click.argument("public", type=click.Path(path_type=Path), required=False)
def main(private: Path, public: Path | None) -> None:
    keys = SigningKeys(private, public or Path())
    try:
        if public:
            keys.make()
        else:
            print(*keys.sign_earlier({}), sep="\n", end="")
    except SigningKeyError as error:
        sys.exit(f"refused: {error}")


if __name__ == "__main__":
    main()
