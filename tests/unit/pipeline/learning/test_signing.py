"""Whoever holds the private key signs; a key that cannot be used is one sentence."""

import pytest

from include.contract.signature import check
from include.stack.signing_keys import SigningKeys
from pipeline.domain.errors import GiveUp
from pipeline.learning.signing import signer

MANIFEST = b'{"files": {}}'


def test_what_was_signed_the_public_key_knows(tmp_path):
    keys = SigningKeys.of_stack(tmp_path)
    keys.make()
    check(MANIFEST, signer(keys.private)(MANIFEST), keys.public)


@pytest.mark.parametrize("body", [None, "no key at all"])
def test_a_key_that_cannot_be_used_is_named(tmp_path, body):
    path = tmp_path / "signing.pem"
    if body is not None:
        path.write_text(body)
    with pytest.raises(GiveUp, match=f"RETRAIN_SIGNING_KEY {path} cannot be used"):
        signer(path)(MANIFEST)
