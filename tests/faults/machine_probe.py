"""Run by the tests where the loader finds the fake libnvidia-ml: sweeps of the fake engine on a card that goes wrong.

The first argument is JSON: `folder`, `spec` (lines for the sweep file), `overrides`, `acts`: by moment
(`trial_finished 0`, `trial_started 1`, `pass 1`: the passes of trial 1), the lines that hold from then on (`PID` is the
last trial's process, `OTHER` this one); `gives_back_s`: so long after the error that follows the last act all is as at
first; `answer_s`: NVML has to answer within; `mend`: lines that hold when the sweep is gone on with, None: it isn't.
Prints what was said, and the records.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from tests.sweep.conftest import Recorder
from vbench.errors import MachineError
from vbench.execution import memory
from vbench.hardware import gpu_unready
from vbench.records.record import TrialRecord
from vbench.records.store import RecordStore
from vbench.spec.loader import parse_spec
from vbench.spec.space import Point
from vbench.sweep.prepared import prepare
from vbench.sweep.start import run_sweep
from vbench.sweep.target import resolve_target

SPEC = """\
engine: fake
model: org/name
prompts: {synthetic: {count: 2, input_tokens: 6}, output_tokens: 4}
measure: {warmup_passes: 0, passes: 1, repeat_spoiled: false}
engine_args: {sleep_scale: 3.0}
search: {method: grid, finalists: 0}
"""


class Acting(Recorder):
    """Changes what the card answers, at its moments."""

    def __init__(self, acts: dict[str, list[str]], gives_back_s: float | None) -> None:
        super().__init__(self.heard)
        self.gives_back_s = gives_back_s
        self.acts, self.trial, self.pid = dict(acts), -1, 0
        self.script = Path(os.environ["FAKE_NVML_SCRIPT"])
        self.start = self.script.read_text()

    def act(self, moment: str) -> None:
        lines = self.acts.pop(moment, None)
        if lines is not None:
            self.show(lines)

    def show(self, lines: list[str]) -> None:
        """From the start on these hold besides what always held."""
        text = "\n".join(lines).replace("PID", str(self.pid)).replace("OTHER", str(os.getpid()))
        temporary = self.script.with_suffix(".new")
        temporary.write_text(f"{self.start}{text}\n")
        temporary.replace(self.script)

    def trial_started(self, number: int, point: Point, origin: str) -> None:
        super().trial_started(number, point, origin)
        self.trial = number
        self.act(f"trial_started {number}")

    def heard(self, message: dict[str, Any]) -> None:
        if message["event"] == "hello":
            self.pid = int(message["pid"])
        elif message["event"] == "error" and self.gives_back_s is not None and not self.acts:
            threading.Timer(self.gives_back_s, self.show, [[]]).start()
        elif message["event"] == "phase":
            self.act(f"{message['name']} {self.trial}")

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:
        super().trial_finished(record, best)
        self.act(f"trial_finished {record.trial}")


def probe(wanted: dict[str, Any]) -> dict[str, Any]:
    if wanted.get("answer_s"):
        gpu_unready.ANSWER_S, memory.STOP_S = wanted["answer_s"], 1.0
    folder = Path(wanted["folder"])
    folder.mkdir(exist_ok=True)
    spec = parse_spec(
        f"{SPEC}deadlines: {{release: {wanted.get('release_s', 0.3)}s}}\n{wanted.get('spec', '')}",
        folder / "sweep.yaml",
        wanted.get("overrides", ()),
    )
    # The fake engine is a build for the processor; here it is taken for one of CUDA.
    prepared = dataclasses.replace(prepare(spec), target=resolve_target(spec, "cuda"))
    acting = Acting(wanted.get("acts", {}), wanted.get("gives_back_s"))
    said = {"stopped": _sweep(prepared, folder, acting), "said": acting.said, "pid": os.getpid()}
    if wanted.get("mend") is not None:
        acting.show(wanted["mend"])
        said["again"] = _sweep(prepared, folder, Recorder())
    (run,) = (folder / "results" / "sweep").iterdir()
    records = RecordStore(run / "trials.jsonl").read().records
    return {**said, "run": str(run), "records": [json.loads(one.to_json_line()) for one in records]}


def _sweep(prepared: Any, folder: Path, listener: Recorder) -> str | None:
    try:
        run_sweep(prepared, folder / "results", listener)
    except MachineError as error:
        return str(error)
    return None


if __name__ == "__main__":
    print(json.dumps(probe(json.loads(sys.argv[1]))), flush=True)
