"""`vbench plan sweep.yaml` in each of the folders 0, 1, …: a JSON list of exit code, output and errors."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout

from vbench.cli.main import main

if __name__ == "__main__":
    found = []
    for number in range(int(sys.argv[1])):
        os.chdir(str(number))
        sys.argv = ["vbench", "plan", "sweep.yaml"]
        printed, said = io.StringIO(), io.StringIO()
        with redirect_stdout(printed), redirect_stderr(said):
            code = main()
        os.chdir("..")
        found.append((code, printed.getvalue(), said.getvalue()))
    print(json.dumps(found))
