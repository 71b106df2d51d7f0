"""Who signs models: the holder of a private key."""

from collections.abc import Callable
from pathlib import Path

from include.contract.signature import sign
from pipeline.domain.errors import GiveUp


def signer(private_key: Path) -> Callable[[bytes], bytes]:
    """Gives the signature of a manifest; raises `GiveUp` for a key that cannot be used."""

    def signed(manifest: bytes) -> bytes:
        try:
            return sign(manifest, private_key)
        except (ValueError, OSError) as error:
            raise GiveUp(f"RETRAIN_SIGNING_KEY {private_key} cannot be used: {error}") from error

    return signed
