"""Run where the loader finds the fake libnvidia-ml: two trials of the fake engine side by side, each on its own GPU.

The first argument is JSON: `folder`. Prints the records, and what each trial was given as CUDA_VISIBLE_DEVICES.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vbench.execution.interpreters import find_interpreter
from vbench.execution.trial_record import Judging
from vbench.execution.trials import TrialRunner
from vbench.hardware.nvml import Nvml
from vbench.hardware.visible import visible_gpus
from vbench.prompts.prompt_set import load_prompt_set, write_jsonl
from vbench.records.runs import create
from vbench.spec.loader import parse_spec
from vbench.spec.space import Point
from vbench.sweep.jobs import Job
from vbench.sweep.slot_places import Place, gpu_places
from vbench.sweep.slots import Slots

SPEC = """\
engine: fake
model: org/name
prompts: {synthetic: {count: 3, input_tokens: 6}, output_tokens: 4}
measure: {warmup_passes: 0, passes: 2}
engine_args: {sleep_scale: 5.0}
"""


def probe(wanted: dict[str, Any]) -> dict[str, Any]:
    folder = Path(wanted["folder"])
    spec = parse_spec(SPEC, folder / "sweep.yaml", ())
    run = create(folder, "sweep", datetime(2026, 11, 3, tzinfo=UTC))
    prompt_set = load_prompt_set(spec.prompts, spec.model)
    write_jsonl(prompt_set, run.prompts_jsonl)
    interpreter = find_interpreter(None, "fake")
    given: dict[int, str] = {}

    def hear(message: dict[str, Any]) -> None:
        if message["event"] == "hello":
            variables = Path("/proc", str(message["pid"]), "environ").read_text().split("\0")
            found = [one.partition("=")[2] for one in variables if one.startswith("CUDA_VISIBLE_DEVICES=")]
            given[message["trial"]] = found[-1]

    def make(place: Place, mark: str, check: Callable[[], None]) -> TrialRunner:
        return TrialRunner(spec, run, prompt_set, interpreter, mark, Judging(hardware="t4"), place=place.environment)

    with Nvml() as nvml:
        places = gpu_places(visible_gpus(nvml.devices, os.environ), os.environ)
    records = []
    with Slots(places, make, "slots-probe", hear, lambda _: "") as slots:
        for number in range(len(places)):
            point = Point(parameters={}, settings={})
            slots.start(Job(number=number, point=point, origin="search", is_alone=False))
        records = [slots.wait()[1] for _ in places]
    found = sorted(records, key=lambda one: one.trial)
    return {"records": [json.loads(one.to_json_line()) for one in found], "given": given}


if __name__ == "__main__":
    print(json.dumps(probe(json.loads(sys.argv[1]))))
