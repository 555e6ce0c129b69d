"""Every lever on the real engine: does it take effect, and by what does the engine show it?

    .venv/bin/python -m benchmarks.levers [--only TEXT] [--results DIR]

Runs the cases of `lever_cases` as one sweep (a single parameter whose options carry the cases' settings, so that all
trials fork from one keeper), holds each record against its case, and writes `benchmarks/levers.md` (with `--only`, it
prints the table instead). What the planner would refuse is run all the same, and the table says so. Exits with 1 when a
case isn't as expected.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.lever_cases import CASES
from benchmarks.lever_proofs import idle
from benchmarks.lever_sweep import BASE, BASELINE, REFUSED_BY_NAME, ROOT, SWEEP, Case
from vbench.cli.listeners import make_listener
from vbench.errors import SpecError
from vbench.execution.arguments import check_arguments
from vbench.execution.machine import machine_facts
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.config import effective_config
from vbench.spec.loader import parse_spec
from vbench.spec.space import enumerate_points
from vbench.spec.types import SweepSpec
from vbench.sweep.prepared import Prepared, prepare
from vbench.sweep.start import run_sweep

CARRIER = "dtype"
"""The parameter whose options are the cases: each sets it itself, so its label only names the case."""
SOURCE = ROOT / "sweeps" / "levers-table.yaml"
"""Where the sweep claims to lie, for its relative paths; it is never written."""
_OF_THE_BASELINE = ("tensor_parallel_size", "num_workers", "max_model_len", "scheduler_max_num_running_reqs",
                    "scheduler_max_num_scheduled_tokens", "scheduling_policy", "kv_cache_tokens")  # fmt: skip
_EFFECTS = {"proven": "took effect", "configuration": "in the configuration only", "none": "accepted, no effect"}


def spec_of(cases: Sequence[Case], **changes: Any) -> SweepSpec:
    """The sweep of these cases, through the same reader as a file; JSON is YAML."""
    options = [{case.name: {CARRIER: BASE[CARRIER], **_written(case.settings)}} for case in cases]
    search = {"method": "grid", "trials": len(options)}
    return _parsed({**SWEEP, **changes, "parameters": {CARRIER: options}, "search": search})


def _parsed(sweep: Mapping[str, Any]) -> SweepSpec:
    return parse_spec(json.dumps(sweep, ensure_ascii=False), SOURCE)


def _written(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Lists and mappings as values, not as something to search; adapters are resolved like models."""
    return {
        name: {"const": value} if isinstance(value, (list, dict)) and name != "lora_modules" else value
        for name, value in settings.items()
    }


def run_cases(prepared: Prepared, results: Path) -> dict[str, TrialRecord]:
    """Each case's record by name; goes on with what an earlier call with the same cases left."""
    listener = make_listener(as_json=False, stream=sys.stderr)
    result = run_sweep(prepared, results, listener, is_planned=False)
    return {str(record.parameters[CARRIER]): record for record in result.records}


class Judged(NamedTuple):
    """Whether a case went as it must, and what was seen."""

    is_expected: bool
    text: str


def judge(case: Case, records: Mapping[str, TrialRecord]) -> Judged:
    """Hold a case's record against it, and its proof against the record that must not pass."""
    record, base = records[case.name], records[BASELINE]
    failure = record.failure
    if record.outcome is not case.outcome:
        evidence = f"{failure.failure_class}: {failure.evidence}" if failure is not None else ""
        return Judged(False, f"{record.outcome}, expected {case.outcome}; {evidence}")
    if failure is not None:
        is_expected = failure.failure_class == case.failure_class and bool(re.search(case.evidence, failure.evidence))
        return Judged(is_expected, failure.evidence)
    if case.proof is None:
        facts = {name: record.engine.facts.get(name) for name in _OF_THE_BASELINE}
        return Judged(case.name == BASELINE, ", ".join(f"{name} {value}" for name, value in facts.items()))
    shown = case.proof(record, base)
    counter = records.get(case.counter)
    if counter is None or case.proof(counter, base).is_shown:
        return Judged(
            False, f"{shown.text}; but {case.counter} {'has no record' if counter is None else 'shows it too'}"
        )
    if case.twin and case.twin in records:
        same = idle(record, records[case.twin])
        text = same.text.replace("the baseline's", f"those of {case.twin}")
        return Judged(shown.is_shown and same.is_shown, f"{shown.text}; {text}")
    return Judged(shown.is_shown and not case.twin, shown.text)


def with_counters(cases: Sequence[Case]) -> list[Case]:
    """The cases, the baseline, and those whose records their proofs must refuse, in the table's order."""
    names = {
        BASELINE,
        *(case.name for case in cases),
        *(case.counter for case in cases),
        *(case.twin for case in cases),
    }
    return [case for case in CASES if case.name in names]


def refusal(prepared: Prepared, name: str, value: Any) -> str:
    """What vbench says of an argument before anything is started; empty when it takes it."""
    try:
        check_arguments(_parsed({**SWEEP, "engine_args": {name: value}}), prepared.description)
    except SpecError as error:
        return re.sub(r"^\S+:\d+: ", "", str(error).splitlines()[-1].strip())
    return ""


def _planned(prepared: Prepared) -> dict[str, str]:
    """What the planner would have refused, by case."""
    planner, said = prepared.planner(), {}
    for point in enumerate_points(prepared.spec.parameters):
        plan = planner.plan(effective_config(prepared.spec, point.settings))
        if not plan.verdict.is_tried:
            said[str(point.parameters[CARRIER])] = str(plan.verdict.value)
    return said


def _row(case: Case, judged: Judged, record: TrialRecord, planned: str | None) -> str:
    failure = record.failure
    outcome = f"{record.outcome} ({failure.failure_class})" if failure is not None else _EFFECTS[case.effect]
    if case.name == BASELINE:
        outcome = "completed"
    if not judged.is_expected:
        outcome = f"**not as expected**: {outcome}"
    if planned is not None:
        outcome += f"; the planner says {planned} before it starts"
    startup = record.measurements.get("startup_s")
    seconds = f"{startup:.1f}" if isinstance(startup, (int, float)) else ""
    cells = (case.lever, case.value, outcome, _short(judged.text), seconds)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _short(text: str, limit: int = 220) -> str:
    text = text.replace(str(ROOT) + "/", "")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _heading(prepared: Prepared, cases: Sequence[Case], num_expected: int) -> list[str]:
    facts = machine_facts(prepared.interpreter, "vllm", prepared.description)
    effects = [case.effect for case in cases if case.outcome is Outcome.COMPLETED and case.name != BASELINE]
    return [
        "# Every lever, and by what the engine shows that it took effect",
        "",
        f"`python -m benchmarks.levers`, {datetime.now(UTC):%Y-%m-%d}; vLLM {facts['engine_version']} (CPU), "
        f"Python {facts['python_version']}, {facts['cpu']}, {facts['cpus_allowed']} cores, "
        f"load average {facts['load_average']}. A shared machine: start-up times are for comparing only, and "
        "those of compiled engines depend on what vLLM's compile cache holds.",
        "",
        f"{len(cases)} cases, {num_expected} as expected, the baseline among them. Of the values, "
        f"{effects.count('proven')} took effect, {effects.count('configuration')} can be seen in the engine's "
        f"configuration only, {effects.count('none')} are accepted without effect on the CPU build, and "
        f"{sum(case.outcome is not Outcome.COMPLETED for case in cases)} are refused.",
        "",
        "A proof reads the engine's facts, counters and answers in the trial's record, never the arguments that were "
        "passed, and is held against a record without the lever, which it must refuse (`benchmarks/lever_cases.py`).",
        "",
        "| lever | value | outcome | what the engine reported | start-up s |",
        "|---|---|---|---|---|",
    ]


def table(prepared: Prepared, cases: Sequence[Case], records: Mapping[str, TrialRecord]) -> tuple[str, int]:
    """The page, and how many cases weren't as expected."""
    judged = {case.name: judge(case, records) for case in cases}
    planned = _planned(prepared)
    num_expected = sum(one.is_expected for one in judged.values())
    lines = _heading(prepared, cases, num_expected)
    lines += [_row(case, judged[case.name], records[case.name], planned.get(case.name)) for case in cases]
    wrong = len(cases) - num_expected
    for name, (value, expected) in REFUSED_BY_NAME.items():
        said = refusal(prepared, name, value)
        wrong += expected not in said
        lines.append(f"| {name} | {value} | refused before anything is started (exit code 2) | {_short(said)} | |")
    return "\n".join([*lines, ""]), wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="cases whose name holds this text, with those that their proofs need")
    parser.add_argument("--results", type=Path, help="keep the run here, and go on with it (default: thrown away)")
    arguments = parser.parse_args()
    cases = with_counters([case for case in CASES if (arguments.only or "") in case.name])
    prepared = prepare(spec_of(cases))
    with tempfile.TemporaryDirectory(prefix="vbench-levers-") as folder:
        records = run_cases(prepared, arguments.results or Path(folder))
    page, wrong = table(prepared, cases, records)
    if arguments.only:
        print(page)
    else:
        (ROOT / "benchmarks" / "levers.md").write_text(page, encoding="utf-8")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
