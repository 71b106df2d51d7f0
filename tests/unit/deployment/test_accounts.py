"""The file with RabbitMQ's accounts is read by whoever it is for, and by nobody else."""

import json

import pytest

from include.stack.accounts import SECRETS, main


@pytest.mark.parametrize("before", [None, 0o644, 0o400])
@pytest.mark.parametrize(("said", "mode"), [((), 0o600), (("644",), 0o644)])
def test_hashes_of_passwords_are_for_those_who_are_named(tmp_path, monkeypatch, before, said, mode):
    for secret in SECRETS:
        monkeypatch.setenv(f"{secret}_PASSWORD".upper(), "secret")
    file = tmp_path / "definitions.json"
    if before:
        file.write_text("of before")
        file.chmod(before)
    main([str(file), *said], standalone_mode=False)
    assert file.stat().st_mode & 0o777 == mode
    assert len(json.loads(file.read_text())["users"]) == len(SECRETS)
