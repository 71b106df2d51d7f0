"""A stack that one benchmark has to itself."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3

from include.bench.measurement import Say
from include.stack import runner
from include.stack.layout import Stack, environment


@contextmanager
def private_stack(say: Say, *names: str) -> Iterator[Stack]:
    """The named services on free ports, gone afterwards with their data.

    Meanwhile this process's AWS_* and RETRAIN_* variables point to them, so that `Pipeline.from_env` does too.
    """
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        root = Path(name)
        try:
            stack = runner.up(root, say, names, preferred_ports=False)
            os.environ |= {k: v for k, v in environment(stack).items() if k.startswith(("AWS_", "RETRAIN_"))}
            # boto3 would keep the credentials of an earlier store.
            boto3.setup_default_session()
            yield stack
        finally:
            runner.clean(root)
            os.environ.clear()
            os.environ |= before
            boto3.setup_default_session()
