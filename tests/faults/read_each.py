"""`vbench plan` with each of the lists of words that stdin holds, one after another: a JSON list of exit code, output
and errors."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout

from vbench.cli.main import run_command

if __name__ == "__main__":
    found = []
    for words in json.load(sys.stdin):
        printed, said = io.StringIO(), io.StringIO()
        with redirect_stdout(printed), redirect_stderr(said):
            code = run_command(["plan", *words], is_debugging=False)
        found.append((code, printed.getvalue(), said.getvalue()))
    print(json.dumps(found))
