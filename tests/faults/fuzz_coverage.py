"""The same, with changes chosen by what new code they reach. Needs the package atheris."""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.faults.fuzz_file import SECONDS, Fuzzed, alarm_in, start_alarms


def by_coverage(num_files: int, seed: int) -> int:
    """Read so many files; 1 where one broke something. The fuzzer ends the process itself in the end."""
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        print("atheris is not installed here: pip install atheris, and run it again")
        print(json.dumps({"faults_tried": 0, "survived": 0, "seed": seed}))
        return 0
    with tempfile.TemporaryDirectory(prefix="vbench-fuzz-") as name:
        folder = Path(name)
        fuzzed = Fuzzed(folder, seed)
        corpus = folder / "corpus"
        corpus.mkdir()
        for number, text in enumerate(fuzzed.sound_texts):
            (corpus / str(number)).write_text(text, encoding="utf-8")
        start_alarms()

        def one(content: bytes) -> None:
            alarm_in(SECONDS)
            try:
                fuzzed.read(content, (), is_planned=False)
            finally:
                alarm_in(0)

        os.chdir(folder)
        atheris.instrument_all()
        words = [sys.argv[0], f"-runs={num_files}", f"-seed={seed or 1}", "-max_len=4096", "-rss_limit_mb=2048"]
        atheris.Setup([*words, str(corpus)], one)
        atheris.Fuzz()
    return 0
