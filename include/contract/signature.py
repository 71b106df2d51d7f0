"""A manifest signed by whoever trained the model: servers take models from nobody else (OpenSSF model signing).

The manifest names the sha256 of every file, so one signature covers the whole artifact. Keys are elliptic-curve keys in
PEM files: `openssl ecparam -name prime256v1 -genkey -noout -out private.pem`, then
`openssl ec -in private.pem -pubout -out public.pem`.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.contract.manifest import MANIFEST, BadManifest

SIGNATURE = "manifest.sig"


def sign(manifest: bytes, private_key: Path) -> bytes:
    """The signature, a sigstore bundle. Raises `ValueError` or `OSError` for a key that cannot be used."""
    from model_signing import signing

    with _laid_out(manifest) as (folder, signature):
        signing.Config().use_elliptic_key_signer(private_key=private_key).sign(folder, signature)
        return signature.read_bytes()


def check(manifest: bytes, signature: bytes, public_key: Path, scratch: str | None = None) -> None:
    """Raises `BadManifest` unless the holder of the key signed this very manifest. `scratch` is a folder for the few
    kilobytes that lie in one meanwhile.
    """
    from model_signing import verifying

    with _laid_out(manifest, scratch) as (folder, path):
        path.write_bytes(signature)
        try:
            verifying.Config().use_elliptic_key_verifier(public_key=public_key).verify(folder, path)
        except Exception as error:
            # A signature that is wrong in any way, in any of its layers, does not count.
            reason = " ".join(str(error).split())[:200]
            raise BadManifest(f"manifest.json is not signed with the key expected here: {reason}") from error


@contextmanager
def _laid_out(manifest: bytes, scratch: str | None = None) -> Iterator[tuple[Path, Path]]:
    """The library works on folders: one with only the manifest in it, and a place for the signature beside that."""
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name, "artifact")
        folder.mkdir()
        (folder / MANIFEST).write_bytes(manifest)
        yield folder, Path(name, SIGNATURE)
