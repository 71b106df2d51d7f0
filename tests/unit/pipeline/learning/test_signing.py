"""Whoever holds the private key signs; a key that cannot be used is one sentence."""

import pytest

from include.contract.signature import check
from include.stack.signing_keys import SigningKeys
from pipeline.bootstrap.live_wiring import LiveWiring
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.errors import GiveUp
from pipeline.learning.signing import signer
from pipeline.settings import Settings

MANIFEST = b'{"files": {}}'


def test_what_was_signed_the_public_key_knows(tmp_path):
    keys = SigningKeys.of_stack(tmp_path)
    keys.make()
    check(MANIFEST, signer(keys.private)(MANIFEST), keys.public)


def test_whoever_brings_models_back_signs_them_where_the_settings_name_a_key(tmp_path):
    keys = SigningKeys.of_stack(tmp_path)
    keys.make()
    sign = LiveWiring(Wiring(Settings(signing_key=keys.private))).keeping.sign
    check(MANIFEST, sign(MANIFEST), keys.public)
    assert LiveWiring(Wiring(Settings())).keeping.sign is None


@pytest.mark.parametrize("body", [None, "no key at all"])
def test_a_key_that_cannot_be_used_is_named(tmp_path, body):
    path = tmp_path / "signing.pem"
    if body is not None:
        path.write_text(body)
    with pytest.raises(GiveUp, match=f"RETRAIN_SIGNING_KEY {path} cannot be used"):
        signer(path)(MANIFEST)
