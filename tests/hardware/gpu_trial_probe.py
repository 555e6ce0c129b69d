"""Run by the tests where the loader finds the fake libnvidia-ml: one trial of the fake engine on a pretended GPU.

The first argument is JSON: `folder`, `leak` (GPU memory isn't given back, and whose it is), `foreign_bytes`,
`limit_bytes`, `release_s`. What the card answers is rewritten while the trial goes through its phases. Prints the
record.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vbench.errors import MachineError
from vbench.execution.interpreters import find_interpreter
from vbench.execution.trial_record import Judging
from vbench.execution.trials import TrialRunner
from vbench.prompts.prompt_set import load_prompt_set, write_jsonl
from vbench.records.runs import create
from vbench.spec.loader import parse_spec
from vbench.spec.space import Point

GIB = 1024**3
IDLE_BYTES = GIB
TOTAL_BYTES, RESERVED_BYTES = 15_360 * 1024**2, 448 * 1024**2
SPEC = """\
engine: fake
model: org/name
prompts: {synthetic: {count: 3, input_tokens: 6}, output_tokens: 4}
measure: {warmup_passes: 1, passes: 2}
engine_args: {load_seconds: 0.5, sleep_scale: 5.0}
"""


class Card:
    """GPU 0 as the script has it from now on."""

    def __init__(self, script: Path, wanted: dict[str, Any]) -> None:
        self.script, self.wanted = script, wanted
        self.start = script.read_text()
        self.pid = 0

    def show(self, trial_bytes: int) -> None:
        foreign = self.wanted.get("foreign_bytes", 0)
        listed = [f"self:{foreign}"] if foreign else []
        listed += [f"{self.pid}:{trial_bytes}"] if trial_bytes else []
        used = IDLE_BYTES + foreign + trial_bytes
        text = (
            f"nvmlDeviceGetMemoryInfo_v2 0 0 0 {TOTAL_BYTES} {RESERVED_BYTES} {used}\n"
            f"nvmlDeviceGetComputeRunningProcesses_v3 0 0 0 {' '.join(listed)}\n"
            "nvmlDeviceGetComputeRunningProcesses_v3 1 0 0\n"
        )
        temporary = self.script.with_suffix(".new")
        temporary.write_text(self.start + text)
        temporary.replace(self.script)

    def on_event(self, message: dict[str, Any]) -> None:
        if message["event"] == "hello":
            self.pid = int(message["pid"])
        elif message["event"] == "phase" and message["name"] in ("load", "warmup"):
            self.show(3 * GIB if message["name"] == "load" else 5 * GIB)
        elif message["event"] == "done":
            self.show(2 * GIB if self.wanted.get("leak") else 0)


def probe(wanted: dict[str, Any]) -> dict[str, Any]:
    folder = Path(wanted["folder"])
    card = Card(Path(os.environ["FAKE_NVML_SCRIPT"]), wanted)
    card.show(0)
    spec = parse_spec(
        f"{SPEC}deadlines: {{release: {wanted.get('release_s', 20.0)}s}}\n{wanted.get('spec', '')}",
        folder / "sweep.yaml",
        (),
    )
    run = create(folder, "sweep", datetime(2026, 11, 3, tzinfo=UTC))
    prompt_set = load_prompt_set(spec.prompts, spec.model)
    write_jsonl(prompt_set, run.prompts_jsonl)
    interpreter = find_interpreter(None, "fake")
    judging = Judging(hardware="t4", limit_bytes=wanted.get("limit_bytes"))
    runner = TrialRunner(spec, run, prompt_set, interpreter, "gpu-trial-probe", judging)
    try:
        with runner:
            record = runner.run(0, Point(parameters={}, settings={}), "run", card.on_event)
    except MachineError as error:
        return {"refused": str(error)}
    said: dict[str, Any] = json.loads(record.to_json_line())
    return {**said, "samples": str(run.samples(0)), "trial_pid": card.pid}


if __name__ == "__main__":
    print(json.dumps(probe(json.loads(sys.argv[1]))))
