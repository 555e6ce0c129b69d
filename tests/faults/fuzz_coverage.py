"""The fuzzer with changes chosen by what new code they reach. Needs the package atheris.

.venv/bin/python -m tests.faults.fuzz --atheris [--files N] [--seed S]
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any


def main(num_files: int, seed: int) -> int:
    """Read so many files; something that breaks ends the process with its traceback."""
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        print("atheris is not installed here: pip install atheris, and run it again")
        print(json.dumps({"faults_tried": 0, "survived": 0, "seed": seed}))
        return 0
    with atheris.instrument_imports(include=["vbench.spec", "yaml"]):
        from tests.faults.fuzz_file import SECONDS, Fuzzed, alarm_in, start_alarms
    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="vbench-fuzz-") as name:
        folder = Path(name)
        fuzzed = Fuzzed(folder, seed)
        corpus = folder / "corpus"
        corpus.mkdir()
        for number, text in enumerate(dict.fromkeys(fuzzed.sound_texts)):
            (corpus / str(number)).write_text(text, encoding="utf-8")
        child = os.fork()
        if child:  # the fuzzer ends its process by itself, and cleans nothing up
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            print(json.dumps({"faults_tried": num_files, "survived": num_files - (code != 0), "seed": seed}))
            return int(code != 0)
        start_alarms()

        def one(content: bytes) -> None:
            alarm_in(SECONDS)
            try:
                fuzzed.read(content, (), is_planned=False)
            finally:
                alarm_in(0)

        os.chdir(folder)
        limits = [f"-runs={num_files}", f"-seed={seed or 1}", "-max_len=4096", "-rss_limit_mb=2048"]
        atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={here}/", str(corpus)], one)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
