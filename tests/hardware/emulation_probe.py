"""Run by the tests where the loader finds the fake libnvidia-ml and the fake libcuda: a card emulated on two others.

The first argument is JSON: `folder`, `spec` (lines for the sweep file), and what to do: `are_listed` holds the target's
memory and reads a trial's GPUs (the driver lists processes or doesn't); `kill_at` runs a sweep whose holder is killed
there (`trial_finished 0` or `pass 1`, the passes of trial 1), and then goes on with it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.sweep.conftest import Recorder
from vbench.emulation.balloon import MARK_ENDING
from vbench.errors import MachineError
from vbench.execution.leftovers import marked_processes
from vbench.execution.memory import ProcessTreeMemory
from vbench.hardware.gpu_trial import TrialGpus
from vbench.records.record import TrialRecord
from vbench.records.runs import read_json
from vbench.spec.loader import parse_spec
from vbench.sweep.prepared import prepare
from vbench.sweep.start import run_sweep
from vbench.sweep.target import resolve_target

GIB, MIB = 1024**3, 1024**2
TOTAL_BYTES = 24_576 * MIB
CONTEXT_BYTES = 300 * MIB  # what CUDA takes for the holder, whatever it allocates
CONFIG = {"engine": "vllm", "model": "org/name", "gpu_memory_utilization": 0.9}
SPEC = """\
engine: fake
model: org/name
emulate: {profile: t4}
prompts: {synthetic: {count: 2, input_tokens: 6}, output_tokens: 4}
measure: {warmup_passes: 0, passes: 1}
parameters: {max_num_seqs: [1, 2, 4]}
search: {method: grid}
"""


def held_by_card() -> dict[str, int]:
    """Bytes, by the number of the card in the machine."""
    held: Counter[str] = Counter()
    for line in Path(os.environ["FAKE_CUDA_LOG"]).read_text().splitlines():
        device, num_bytes = line.split()
        held[device] += int(num_bytes)
    return dict(held)


def show_on_nvml(holder: int, *, are_listed: bool) -> None:
    """Let NVML show what is held by now, and 1 GiB of this process, which is the trial, on each card concerned."""
    lines = []
    for card, num_bytes in held_by_card().items():
        of_holder = num_bytes + CONTEXT_BYTES
        lines.append(f"nvmlDeviceGetMemoryInfo_v2 {card} 0 0 {TOTAL_BYTES} 0 {of_holder + GIB}")
        if are_listed:
            lines.append(f"nvmlDeviceGetComputeRunningProcesses_v3 {card} 0 0 {holder}:{of_holder} self:{GIB}")
        else:
            kinds = ("Compute", "Graphics")
            lines += [f"nvmlDeviceGet{kind}RunningProcesses_v{n} {card} 0 3" for kind in kinds for n in (2, 3)]
    with Path(os.environ["FAKE_NVML_SCRIPT"]).open("a") as script:
        script.write("\n".join(lines) + "\n")


def hold(wanted: dict[str, Any]) -> dict[str, Any]:
    spec = parse_spec(SPEC + wanted.get("spec", ""), Path(wanted["folder"]) / "sweep.yaml", ())
    target = resolve_target(spec, "cuda")
    passed = target.passed(CONFIG, "0.10.0")
    with target.holding("a-run", spec.environment) as reserved:
        assert reserved is not None
        reserved.check()
        show_on_nvml(reserved.pids[0], are_listed=wanted["are_listed"])
        with TrialGpus({**os.environ, **spec.environment}, reserved) as gpus:
            source = gpus.source(lambda: {os.getpid()}, ProcessTreeMemory(os.getpid(), None))
    return {
        "name": target.name, "machine": target.machine.title, "limit": target.limit_bytes, "notes": target.notes,
        "num_gpus": target.budget.num_gpus, "held": held_by_card(), "reserved": dict(reserved.bytes_by_uuid),
        "passed": dict(passed.config), "environment": dict(passed.environment), "said": passed.notes,
        "gpus": [(use.reading.index, use.used_bytes, use.foreign_pids) for use in source.samples[0].gpus],
        "left": marked_processes(f"a-run{MARK_ENDING}"),
    }  # fmt: skip


class Killer(Recorder):
    """Ends the holder of the run at a point."""

    def __init__(self, point: str) -> None:
        super().__init__(self.heard)
        self.point = point

    def heard(self, message: dict[str, Any]) -> None:
        if message["event"] == "phase" and f"{message['name']} {self.said[-1].split()[-1]}" == self.point:
            self.kill()

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:
        super().trial_finished(record, best)
        if self.said[-1] == self.point:
            self.kill()

    def kill(self) -> None:
        assert self.info is not None
        (holder,) = marked_processes(f"{read_json(self.info.run.run_json)['run_uid']}{MARK_ENDING}")
        os.kill(holder, signal.SIGKILL)
        # Its parent waits for it in `check`; until then it is a zombie, which holds nothing.
        os.waitid(os.P_PID, holder, os.WEXITED | os.WNOWAIT)


def sweep(wanted: dict[str, Any]) -> dict[str, Any]:
    folder = Path(wanted["folder"])
    spec = parse_spec(SPEC, folder / "sweep.yaml", ())
    # The fake engine is a build for the processor; here it is taken for one of CUDA.
    prepared = dataclasses.replace(prepare(spec), target=resolve_target(spec, "cuda"))
    killer = Killer(wanted["kill_at"])
    try:
        run_sweep(prepared, folder / "results", killer)
        return {"refused": None}
    except MachineError as error:
        refused = str(error)
    again = Recorder()
    result = run_sweep(prepared, folder / "results", again)
    return {
        "refused": refused, "said": killer.said, "status": killer.status, "again": again.said,
        "status_again": result.status, "records": [json.loads(one.to_json_line()) for one in result.records],
    }  # fmt: skip


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(sweep(asked) if "kill_at" in asked else hold(asked)))
