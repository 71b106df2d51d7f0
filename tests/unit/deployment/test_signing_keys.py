"""The keys of the stack: made once, private, and never others than those that the models were signed with."""

import json
import os
import subprocess

import pytest
from click.testing import CliRunner

from include.contract.signature import check, sign
from include.stack import services, signing_keys
from include.stack.__main__ import main as stack_commands
from include.stack.layout import environment, load_or_create
from include.stack.rotating import SIGNING_KEY, rotate
from include.stack.services import StackError
from include.stack.signing_keys import SigningKeyError, SigningKeys

MANIFEST = json.dumps({"files": {}}).encode()


@pytest.fixture
def stack(tmp_path):
    return load_or_create(tmp_path, preferred=False)


# What `python -m pipeline sign-models` prints in the end.
DONE = {
    "LAUNDRY": {"signed": ["v1.1.0"], "left": {"v1.0.0": "its manifest is another one"}},
    "FACE": {"signed": [], "left": {}},
}


@pytest.fixture
def asked(monkeypatch):
    """Commands that were run; `failing` makes them fail."""

    class Asked(list):
        failing = False

    commands = Asked()

    def run(command, **how):
        commands.append((command[1:], how["env"].get("RETRAIN_SIGNING_KEY")))
        return subprocess.CompletedProcess(
            command, int(commands.failing), json.dumps(DONE) + "\n", "log\nrefused: no database\n"
        )

    monkeypatch.setattr(signing_keys.subprocess, "run", run)
    return commands


def keys(stack):
    return SigningKeys.of_stack(stack.root)


@pytest.mark.parametrize(("kind", "lacking"), [("ports", "access"), ("secrets", "mlflow_pipeline")])
def test_variables_of_a_stack_of_an_earlier_release_come_after_its_upgrade(stack, monkeypatch, kind, lacking):
    path = stack.root / "stack.json"
    kept = json.loads(path.read_text())
    del kept[kind][lacking]
    path.write_text(json.dumps(kept))
    monkeypatch.setenv("STACK_DIR", str(stack.root))
    said = CliRunner().invoke(stack_commands, ["env"])
    assert isinstance(said.exception, StackError) and "this stack is of an earlier version" in str(said.exception)


def of_an_earlier_release(stack):
    for path in (keys(stack).private, keys(stack).public, keys(stack).earlier_models_signed):
        path.unlink()
    return load_or_create(stack.root, preferred=False)


def test_a_new_stack_has_a_pair_that_fits_and_every_program_is_told_where_it_is(stack):
    check(MANIFEST, sign(MANIFEST, keys(stack).private), keys(stack).public)
    assert keys(stack).variables.items() <= environment(stack).items()


def test_only_its_owner_reads_the_private_key_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        load_or_create(tmp_path, preferred=False)
    finally:
        os.umask(before)
    assert SigningKeys.of_stack(tmp_path).private.stat().st_mode & 0o777 == 0o600


def test_another_start_makes_no_other_keys(stack):
    before = keys(stack).private.read_bytes(), keys(stack).public.read_bytes()
    load_or_create(stack.root, preferred=False)
    assert (keys(stack).private.read_bytes(), keys(stack).public.read_bytes()) == before


def test_a_public_key_that_was_lost_is_made_of_the_private_one(stack):
    before = keys(stack).public.read_bytes()
    keys(stack).public.unlink()
    load_or_create(stack.root, preferred=False)
    assert keys(stack).public.read_bytes() == before


def test_a_lost_private_key_is_told_of_and_no_other_takes_its_place(stack):
    keys(stack).private.unlink()
    with pytest.raises(SigningKeyError, match=r"signing\.pem, is gone: bring it back, or delete .*verifying\.pem"):
        load_or_create(stack.root, preferred=False)
    assert not keys(stack).private.exists()


def test_models_of_a_release_without_keys_are_signed_once_before_replicas_start(stack, asked, capsys):
    earlier = of_an_earlier_release(stack)
    service = services.faceserve(earlier)
    assert "postgres" in service.after
    service.prepare()
    services.faceserve(earlier).prepare()
    assert asked == [(["-m", "pipeline", "sign-models"], str(keys(stack).private))]
    assert services.faceserve(earlier).after == ("s3",)
    assert capsys.readouterr().err == "LAUNDRY v1.0.0 is not signed: its manifest is another one\n"


def test_where_both_keys_were_thrown_away_the_models_are_signed_with_the_new_one(stack, asked):
    keys(stack).private.unlink()
    keys(stack).public.unlink()
    services.faceserve(load_or_create(stack.root, preferred=False)).prepare()
    assert len(asked) == 1


def test_another_key_is_made_at_the_next_start_and_signs_every_model_before_a_replica_starts(stack, asked):
    old = keys(stack).public.read_bytes()
    services.faceserve(stack).prepare()
    assert asked == []
    rotate(stack, SIGNING_KEY)
    again = load_or_create(stack.root, preferred=False)
    assert keys(again).public.read_bytes() != old
    signature = sign(MANIFEST, keys(again).private)
    check(MANIFEST, signature, keys(again).public)
    services.faceserve(again).prepare()
    services.faceserve(again).prepare()
    assert asked == [(["-m", "pipeline", "sign-models"], str(keys(again).private))]


def test_where_it_was_killed_between_the_keys_the_old_ones_sign_on(stack, asked):
    old = keys(stack).public.read_bytes()
    keys(stack).public.unlink()
    assert keys(load_or_create(stack.root, preferred=False)).public.read_bytes() == old


def test_a_new_stack_has_nothing_to_sign(stack, asked):
    services.faceserve(stack).prepare()
    assert asked == []


def test_what_cannot_be_signed_yet_is_one_sentence_and_is_tried_again(stack, asked):
    service = services.faceserve(of_an_earlier_release(stack))
    asked.failing = True
    with pytest.raises(StackError, match="cannot be signed, and no replica would take them: refused: no database"):
        service.prepare()
    asked.failing = False
    service.prepare()
    assert len(asked) == 2


def test_in_containers_one_makes_the_keys_and_another_signs_the_models_of_before_once(tmp_path, asked, monkeypatch):
    private, public = tmp_path / "signing-key/signing.pem", tmp_path / "verifying-key/verifying.pem"
    signing_keys.main([str(private), str(public)], standalone_mode=False)
    check(MANIFEST, sign(MANIFEST, private), public)
    for _ in range(2):
        signing_keys.main([str(private)], standalone_mode=False)
    assert len(asked) == 1
    (private.parent / "earlier-models-signed").unlink()
    asked.failing = True
    with pytest.raises(SystemExit, match="refused: the models of before cannot be signed"):
        signing_keys.main([str(private)], standalone_mode=False)
