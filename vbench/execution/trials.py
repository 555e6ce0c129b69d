"""From a point of the space to its record: the request, the way it is started, and putting the record together."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from vbench.emulation.apply import Passed, as_it_is
from vbench.errors import MachineError
from vbench.execution import leftovers, verdict
from vbench.execution.engine_log import facts_in, read_log
from vbench.execution.interpreters import Interpreter
from vbench.execution.keeper_client import Keeper, KeeperGone
from vbench.execution.memory import MemorySource, ProcessTreeMemory, UnmeasuredMemory, process_tree, write_samples
from vbench.execution.runner import OnEvent, RawTrial, run_trial
from vbench.hardware.gpu_samples import write_gpu_samples
from vbench.hardware.gpu_trial import Reserved, TrialGpus
from vbench.metrics import measure
from vbench.outcome import Outcome
from vbench.prompts.prompt_set import PromptSet
from vbench.records.record import EngineFacts, PromptSetFacts, TrialRecord
from vbench.records.runs import RunFolder
from vbench.spec.config import displayed, displayed_path, effective_config, engine_arguments
from vbench.spec.space import Point, recorded_parameters
from vbench.spec.types import SweepSpec

Origin = Literal["baseline", "search", "run"]
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY|AUTHORIZATION|CREDENTIAL", re.IGNORECASE)
_RETRIED = (Outcome.CRASHED, Outcome.TIMED_OUT)


class TrialRunner:
    """Runs a sweep's trials one after another through one keeper. Use as a context manager.

    `hardware` names what trials are judged by; `is_cpu` says whether the engine runs on the processor (None: where that
    name is `cpu`). A peak over `limit_bytes` (per GPU; of the process tree on a CPU) ends a trial as `over_budget`.
    `reserved` is what vbench itself holds on the GPUs meanwhile. `passed` turns a configuration into what the engine is
    given for it, where another card is emulated; records keep the configuration.
    """

    def __init__(
        self, spec: SweepSpec, run: RunFolder, prompt_set: PromptSet, interpreter: Interpreter, hardware: str,
        run_uid: str, *, limit_bytes: int | None = None, is_cpu: bool | None = None, reserved: Reserved | None = None,
        passed: Callable[[Mapping[str, Any]], Passed] = as_it_is,
    ) -> None:  # fmt: skip
        self.spec, self.run_folder, self.prompt_set = spec, run, prompt_set
        self.interpreter, self.hardware, self.run_uid = interpreter, hardware, run_uid
        self.limit_bytes, self.passed = limit_bytes, passed
        self.fork_blocker: str | None = None
        self._keeper: Keeper | None = None
        self._reserved = reserved or Reserved()
        is_on_cpu = hardware == "cpu" if is_cpu is None else is_cpu
        self._gpus = None if is_on_cpu else TrialGpus({**os.environ, **spec.environment}, self._reserved)

    def __enter__(self) -> TrialRunner:
        """Open NVML where trials run on GPUs; raises MachineError where CUDA_VISIBLE_DEVICES names one that isn't."""
        if self._gpus is not None:
            self._gpus.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._drop_keeper()
        finally:
            if self._gpus is not None:
                self._gpus.close()

    def prepare(self) -> None:
        """Start the keeper and let it import the engine, so that the first trial needn't wait for it."""
        self._running_keeper(preload=self.spec.worker_start != "cold")

    def run(self, number: int, point: Point, origin: Origin, on_event: OnEvent) -> TrialRecord:
        """Run the trial and return its record; an engine's failure is a record too, never an exception."""
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        config = effective_config(self.spec, point.settings)
        how: Literal["fork", "cold"] = "cold"
        notes = [*self.passed(config).notes]
        keeper = self._running_keeper(preload=self.spec.worker_start != "cold")
        if keeper.can_fork:
            how = "fork"
        elif self.spec.worker_start == "fork":
            raise MachineError(f"worker_start: fork isn't possible here: {keeper.fork_blocker}; use auto or cold")
        raw = self._attempt(keeper, number, how, config, on_event)
        record = self._record(number, point, origin, config, raw, started_at, notes)
        if not self._deserves_cold_retry(raw, record):
            return record
        started = "forked" if how == "fork" else "cold"
        notes.append(f"started cold after a {started} start ended as {record.outcome} ({_reason(record)})")
        # A new keeper, where the old one died, imports the engine too: the trials to come are to fork again.
        keeper = self._running_keeper(preload=self.spec.worker_start != "cold")
        raw = self._attempt(keeper, number, "cold", config, on_event)
        second = self._record(number, point, origin, config, raw, started_at, notes)
        # What the first attempt took was spent too; everything else is the second's.
        return second.model_copy(update={"duration_s": (record.duration_s or 0.0) + (second.duration_s or 0.0)})

    def _deserves_cold_retry(self, raw: RawTrial, record: TrialRecord) -> bool:
        """Whether the fork itself may be to blame: a crash without a known cause, a hang at load, a dead keeper."""
        if raw.keeper_error is not None:
            self._drop_keeper()
            return self.spec.worker_start != "fork"
        if raw.how == "cold" or self.spec.worker_start == "fork" or record.outcome not in _RETRIED:
            return False
        return record.outcome is Outcome.CRASHED or raw.timed_out == "load"

    def _attempt(
        self, keeper: Keeper, number: int, how: Literal["fork", "cold"], config: Mapping[str, Any], on_event: OnEvent
    ) -> RawTrial:
        measure_spec, given = self.spec.measure, self.passed(config)
        request = {
            "engine": self.spec.engine,
            "model": config["model"],
            "engine_args": engine_arguments(given.config),
            "environment": {**given.environment, **self.spec.environment},
            "prompts_file": str(self.run_folder.prompts_jsonl.resolve()),
            "output_tokens": self.prompt_set.output_tokens,
            "max_tokens": self.prompt_set.max_tokens,
            "warmup_passes": measure_spec.warmup_passes,
            "passes": measure_spec.passes,
            "max_seconds": measure_spec.max_seconds,
        }
        log = self.run_folder.log(number)
        return run_trial(
            keeper, trial_id=number, how=how, request=request, deadlines=self.spec.deadlines, log=log,
            run_uid=self.run_uid, on_event=on_event, source_for=self._source,
            kept_pids=self._reserved.pids,
        )  # fmt: skip

    def _source(self, pid: int, keeper_pid: int | None) -> MemorySource:
        """The process tree on a CPU, the trial's GPUs through NVML otherwise; nothing where no GPU can be read."""
        host = ProcessTreeMemory(pid, keeper_pid)
        if self._gpus is None:
            return host
        if not self._gpus.devices:
            return UnmeasuredMemory()
        # An engine's rank may have left the tree (daemonised); the run's mark still finds it.
        return self._gpus.source(lambda: process_tree(pid) | set(leftovers.marked_processes(self.run_uid)), host)

    def _running_keeper(self, *, preload: bool) -> Keeper:
        if self._keeper is None:
            self._keeper = Keeper(
                self.interpreter, self.spec.engine, preload=preload, environment=self.spec.environment,
                run_uid=self.run_uid, log=self.run_folder.path / "logs" / "keeper.log",
            )  # fmt: skip
            try:
                self._keeper.wait_ready(self.spec.deadlines.load_s)
            except KeeperGone:
                self._drop_keeper()
                if not preload:
                    raise
                return self._running_keeper(preload=False)  # an import that kills the keeper still gets cold trials
            self.fork_blocker = self._keeper.fork_blocker
        return self._keeper

    def _drop_keeper(self) -> None:
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None

    def _record(
        self, number: int, point: Point, origin: Origin, config: Mapping[str, Any], raw: RawTrial, started_at: str,
        notes: list[str],
    ) -> TrialRecord:  # fmt: skip
        log_text = read_log(self.run_folder.log(number), raw.log_start)
        outcome, failure, passes = verdict.judge(raw, log_text, self.spec.deadlines, self.prompt_set.num_prompts)
        phases = verdict.phases_of(raw)
        if raw.gpu_samples:
            write_gpu_samples(raw.gpu_samples, self.run_folder.samples(number), raw.started_t)
        else:
            write_samples(raw.samples, self.run_folder.samples(number), raw.started_t)
        said = raw.of("engine")
        facts = {**facts_in(log_text), **_present(said[-1].get("facts", {}) if said else {})}
        engine_notes = facts.pop("notes", [])
        measurements = measure(passes, phases)
        excess = verdict.over_budget(outcome, measurements["peak_memory_bytes"], self.limit_bytes)
        if excess is not None:
            outcome, failure = Outcome.OVER_BUDGET, excess
        violations = verdict.violations(self.spec.constraints, measurements, {**config, **facts})
        timed = [one for one in passes if one.kind == "timed"]
        return TrialRecord(
            trial=number,
            origin=origin,
            config=self._recorded(config),
            parameters=recorded_parameters(self.spec.parameters, point),
            outcome=outcome,
            failure=failure,
            measurements=measurements,
            constraint_violations=violations if outcome.is_measured else {},
            passes=passes,
            engine=EngineFacts(
                name=self.spec.engine,
                version=self.interpreter.engine_version,
                python=self.interpreter.python_version,
                facts=facts,
            ),
            prompt_set=PromptSetFacts(
                sha256=self.prompt_set.sha256,
                num_prompts=self.prompt_set.num_prompts,
                output_tokens=self.prompt_set.output_tokens,
                source=displayed_path(self.prompt_set.source),
                input_tokens=sum(timed[0].requests.input_tokens) if timed else None,
            ),
            hardware={
                "profile": self.hardware,
                "memory_source": raw.memory_source or None,
                **({} if self._gpus is None else self._gpus.facts()),
            },
            environment={
                "worker_start": raw.how,
                "fork_blocker": self.fork_blocker if raw.how == "cold" else None,
                "packages": self.interpreter.packages,
                "notes": [*engine_notes, *notes],
            },
            phases=phases,
            warnings=[
                *verdict.warnings_of(raw, passes, self.prompt_set.output_tokens),
                *(self._gpus.warnings if self._gpus is not None else ()),
            ],
            started_at=started_at,
            duration_s=round(raw.ended_t - raw.started_t, 6),
        )

    def _recorded(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration as stored: short paths, and the environment variables without secrets."""
        recorded = displayed(config)
        if self.spec.environment:
            recorded["environment"] = {name: _redacted(name, value) for name, value in self.spec.environment.items()}
        return recorded


def _present(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def _redacted(name: str, value: str) -> str:
    return "***" if _SECRET_NAME.search(name) else value


def _reason(record: TrialRecord) -> str:
    return record.failure.failure_class if record.failure else "no reason given"


def log_tail(path: Path, num_lines: int = 20) -> list[str]:
    """The last lines of a trial's log."""
    return read_log(path).splitlines()[-num_lines:]
