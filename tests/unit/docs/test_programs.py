"""Every program says how it is called, to whoever asks it without a variable set."""

import json
import os
import subprocess
import sys

from include.stack.layout import REPOSITORY
from tests.unit.docs.programs import programs, reads_its_words

# All in one process, because most of the time is that of imports which they share.
_ASK = """
import contextlib, io, json, runpy, sys, traceback
said = {}
for module in sys.argv[1:]:
    out, sys.argv, code = io.StringIO(), [module, "--help"], 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:
            code = 1
            traceback.print_exc()
    said[module] = [code, out.getvalue()]
print("", json.dumps(said), sep="\\n")
"""


def test_every_program_reads_its_words_by_a_library():
    assert len(programs()) > 25
    assert [module for module, path in programs().items() if not reads_its_words(path)] == []


def test_every_program_says_how_it_is_called(tmp_path):
    asked = [module for module, path in programs().items() if reads_its_words(path)]
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", _ASK, *asked], cwd=REPOSITORY, env=bare, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    wrong = {module: text[-500:] for module, (code, text) in said.items() if code or "usage: " not in text.lower()}
    assert wrong == {}
