"""What `python -m faceserve status` is told of its doors is used, or it says why not."""

import pytest
from click.testing import CliRunner

from faceserve.__main__ import main


@pytest.mark.parametrize("given", [["--certificate", "--key"], ["--certificate", "--ca"], ["--key", "--ca"], ["--key"]])
def test_who_says_half_of_what_tls_needs_sends_no_token_in_the_clear(tmp_path, given):
    file = tmp_path / "some.pem"
    file.write_text("")
    said = [word for option in given for word in (option, str(file))]
    # Nobody listens there: whoever is asked all the same says so.
    ended = CliRunner().invoke(main, ["status", "127.0.0.1:1", "--token", "secret", *said])
    assert ended.exit_code == 2 and "a certificate needs its key, and the authority" in ended.output
