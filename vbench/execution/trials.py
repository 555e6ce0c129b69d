"""From a point of the space to its record: which engine, the way it is started, and what a retry is worth."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, Literal

from vbench.errors import MachineError
from vbench.execution import leftovers
from vbench.execution.attempts import RETRIED, RETRIED_FRESH, Attempt, after, reason, told
from vbench.execution.interpreters import Interpreter
from vbench.execution.keeper_client import Keeper
from vbench.execution.keepers import Keepers
from vbench.execution.kept_engine import KeptEngine
from vbench.execution.live_engine import LiveEngine
from vbench.execution.machine_faults import OFTEN_ITS_OWN, RETRIED_ONCE
from vbench.execution.memory import MemorySource, ProcessTreeMemory, UnmeasuredMemory
from vbench.execution.named_interpreters import NamedInterpreter
from vbench.execution.process_tree import descendants
from vbench.execution.request import request_notes, trial_request
from vbench.execution.runner import OnEvent, RawTrial, run_trial
from vbench.execution.stopping import Stopper
from vbench.execution.trial_record import (
    Judging,
    Surroundings,
    Tried,
    asked_quality,
    record_not_started,
    record_of,
    record_without_engine,
)
from vbench.hardware.gpu_trial import TrialGpus
from vbench.outcome import Outcome
from vbench.planner.dummy_model import model_folder
from vbench.prompts.prompt_set import PromptSet
from vbench.records.record import Origin, TrialRecord
from vbench.records.redacted_files import Logs
from vbench.records.runs import RunFolder
from vbench.spec.config import effective_config, engine_key
from vbench.spec.space import Point
from vbench.spec.types import SweepSpec


class TrialRunner:
    """Runs a sweep's trials one after another through keepers, and where asked keeps an engine alive between trials.

    Use as a context manager. `others` are the interpreters that options name, by path as the sweep has it.
    `place` are variables that say which GPUs are its own; they count before all others.
    """

    def __init__(
        self, spec: SweepSpec, run: RunFolder, prompt_set: PromptSet, interpreter: Interpreter, run_uid: str,
        judging: Judging, *, others: Mapping[str, NamedInterpreter] | None = None,
        place: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.spec, self.run_folder, self.prompt_set, self.judging = spec, run, prompt_set, judging
        self.interpreter, self.run_uid, self.others = interpreter, run_uid, others or {}
        self.fork_blocker: str | None = None
        self.started_t = 0.0
        """When the last trial's last attempt began, on the monotonic clock."""
        self._place = dict(place or {})
        self._keepers = Keepers(spec, run_uid, run.path / "logs" / "keeper.log")
        is_on_cpu = judging.hardware == "cpu" if judging.is_cpu is None else judging.is_cpu
        variables = {**os.environ, **spec.environment, **self._place}
        self._gpus = None if is_on_cpu else TrialGpus(variables, judging.reserved, spec.deadlines.release_s)
        self._logs = Logs(run.path / "logs", run.trials_jsonl)
        self._live = KeptEngine(self._keepers, run_uid, spec.deadlines.close_s, self._kept_pids, self._source)
        self._around = Surroundings(spec=spec, run=run, prompt_set=prompt_set, judging=judging, gpus=self._gpus)

    def __enter__(self) -> TrialRunner:
        """Open NVML where trials run on GPUs; raises MachineError where CUDA_VISIBLE_DEVICES names one that isn't."""
        if self._gpus is not None:
            self._gpus.__enter__()
        self._logs.begin()
        return self

    def __exit__(self, error: object, *_: object) -> None:
        try:
            if error is None:
                self.release()
        finally:
            self._end()

    def _end(self) -> None:
        try:
            self._keepers.close()  # which kill all that they started
            self._live.discard()
        finally:
            if self._gpus is not None:
                self._gpus.close()
            self._logs.end()

    def prepare(self, settings: Mapping[str, Any] | None = None) -> None:
        """Start the keeper of a trial with these settings and let it import the engine, so that it needn't wait."""
        config = effective_config(self.spec, settings or {})
        named = self.others.get(str(config.get("python")))
        interpreter = self.interpreter if named is None else named.interpreter
        if interpreter is not None:
            with told("the engine's keeper couldn't be started"):
                self._keeper(interpreter, config.get("environment", {}))

    @property
    def live_key(self) -> str | None:
        """`spec.config.engine_key` of the configurations that the engine kept alive would serve; None: none is."""
        return self._live.key

    def release(self) -> None:
        """Close the engine that is kept alive, with all its processes, and wait for its memory."""
        self._live.release()

    def _kept_pids(self) -> list[int]:
        return [*self.judging.reserved.pids, *self._keepers.pids]

    def run(
        self, number: int, point: Point, origin: Origin, on_event: OnEvent, stopper: Stopper | None = None, *,
        keep: bool = False, probe: bool = True, quality: bool = False,
    ) -> TrialRecord:  # fmt: skip
        """Its record; an engine's failure is one too. Raises MachineError when what `reserved` held has gone.

        `keep`: another trial may want the engine, which stays alive then if this one completes. One that is alive
        already serves this trial where its `engine_key` is the same, and is closed first where it isn't. `probe`:
        whether the probe that the sweep has is made. `quality`: whether its answers are checked after the passes.
        """
        config = effective_config(self.spec, point.settings)
        tried = Tried(
            number=number, point=point, origin=origin, config=config, interpreter=self.interpreter,
            notes=[*self.judging.passed(config).notes, *request_notes(config)],
        )  # fmt: skip
        named = self.others.get(str(config.get("python")))
        if named is not None and named.interpreter is None:
            return record_without_engine(tried, self._around, str(named.problem))
        if named is not None and named.interpreter is not None:
            tried.interpreter = named.interpreter
        attempt = Attempt(on_event, stopper, keep, probe, quality, engine_key(self.spec, point.settings))
        with told(f"trial {number} couldn't be run"):
            engine = self._live.take(attempt.key)
            if engine is not None:
                record = self._reuse(tried, attempt, engine)
            else:
                record = self._unready(tried) or self._run(tried, attempt)
        between = self._live.pop_notes()
        return record.model_copy(update={"warnings": [*record.warnings, *between]}) if between else record

    def _unready(self, tried: Tried) -> TrialRecord | None:
        """The record of a trial that the GPUs don't let begin; None where they do."""
        if self._gpus is None:
            return None
        begin = time.monotonic()
        fault = self._gpus.unready(lambda: leftovers.marked_processes(self.run_uid))
        return None if fault is None else record_not_started(tried, self._around, fault, time.monotonic() - begin)

    def _reuse(self, tried: Tried, attempt: Attempt, engine: LiveEngine) -> TrialRecord:
        """On a living engine; where that fails in a way that its earlier work may be to blame for, on a fresh one."""
        keeper = engine.process.keeper
        raw, record = self._attempt(keeper, engine.process.how, tried, attempt, engine)
        if raw.keeper_error is not None:
            self._keepers.drop(keeper)
        elif record.outcome not in RETRIED_FRESH and reason(record) not in OFTEN_ITS_OWN and not self._passed(record):
            return record
        tried.notes.append(f"started anew after a reused engine ended as {record.outcome} ({reason(record)})")
        keeper = self._keeper_for(tried)
        return after(record, self._attempt(keeper, self._how(keeper), tried, attempt)[1])

    def _run(self, tried: Tried, attempt: Attempt) -> TrialRecord:
        keeper = self._keeper_for(tried)
        how = self._how(keeper)
        raw, record = self._attempt(keeper, how, tried, attempt)
        if self._passed(record):
            tried.notes.append(f"started anew after {reason(record)}")
            return after(record, self._attempt(keeper, how, tried, attempt)[1])
        if not self._deserves_cold_retry(raw, record, keeper):
            return record
        started = "forked" if how == "fork" else "cold"
        tried.notes.append(f"started cold after a {started} start ended as {record.outcome} ({reason(record)})")
        # A new keeper, where the old one died, imports the engine too: the trials to come are to fork again.
        keeper = self._keeper_for(tried)
        return after(record, self._attempt(keeper, "cold", tried, attempt)[1])

    def _passed(self, record: TrialRecord) -> bool:
        """Whether it failed for a reason of the machine's that isn't there any more."""
        return reason(record) in RETRIED_ONCE and (self._gpus is None or self._gpus.others_leave())

    def _how(self, keeper: Keeper) -> Literal["fork", "cold"]:
        if not keeper.can_fork and self.spec.worker_start == "fork":
            raise MachineError(f"worker_start: fork isn't possible here: {keeper.fork_blocker}; use auto or cold")
        return "fork" if keeper.can_fork else "cold"

    def _deserves_cold_retry(self, raw: RawTrial, record: TrialRecord, keeper: Keeper) -> bool:
        """Whether the fork itself may be to blame: a crash without a known cause, a hang at load, a dead keeper."""
        if raw.keeper_error is not None:
            self._keepers.drop(keeper)
            return self.spec.worker_start != "fork"
        if raw.how == "cold" or self.spec.worker_start == "fork" or record.outcome not in RETRIED:
            return False
        return record.outcome is Outcome.CRASHED or raw.timed_out == "load"

    def _attempt(
        self, keeper: Keeper, how: Literal["fork", "cold"], tried: Tried, attempt: Attempt,
        engine: LiveEngine | None = None,
    ) -> tuple[RawTrial, TrialRecord]:  # fmt: skip
        given, reserved = self.judging.passed(tried.config), self.judging.reserved
        model = model_folder(str(tried.config["model"]), tried.config.get("quantization"), self.run_folder.path)
        request = trial_request(
            self.spec, given.config, self.prompt_set, self.run_folder.prompts_jsonl, model,
            {**given.environment, **tried.config.get("environment", {}), **self._place}, keep_engine=attempt.keep,
            probe=attempt.probe, quality=asked_quality(self.spec, self.run_folder, tried) if attempt.quality else None,
        )  # fmt: skip
        reserved.check()
        raw = run_trial(
            keeper, trial_id=tried.number, how=how, request=request, deadlines=self.spec.deadlines,
            log=self.run_folder.log(tried.number), run_uid=self.run_uid, on_event=attempt.on_event,
            source_for=self._source, kept_pids=self._kept_pids(), stopper=attempt.stopper,
            engine=engine,
        )  # fmt: skip
        self.started_t = raw.started_t
        if raw.is_kept and raw.engine is not None:
            self._live.keep(attempt.key, raw.engine)
        tried.fork_blocker = keeper.fork_blocker
        self._logs.look(self.run_folder.log(tried.number))  # before a line of it is cut, and a secret with it
        record = record_of(tried, raw, self._around)
        if record.outcome is not Outcome.COMPLETED:  # unsound, or over the budget, perhaps only as it was started
            self.release()
        reserved.check()  # what was measured while it went isn't the card's either: no record, tried again
        return raw, record

    def _source(self, pid: int, keeper_pid: int | None) -> MemorySource:
        """The process tree on a CPU, the trial's GPUs through NVML otherwise; nothing where no GPU can be read."""
        host = ProcessTreeMemory(pid, keeper_pid)
        if self._gpus is None:
            return host
        if not self._gpus.devices:
            return UnmeasuredMemory()
        # An engine's rank may have left the tree (daemonised); the run's mark still finds it.
        return self._gpus.source(lambda: {pid, *descendants(pid), *leftovers.marked_processes(self.run_uid)}, host)

    def _keeper_for(self, tried: Tried) -> Keeper:
        return self._keeper(tried.interpreter, tried.config.get("environment", {}))

    def _keeper(self, interpreter: Interpreter, environment: Mapping[str, str]) -> Keeper:
        variables = {**environment, **self._place}
        keeper = self._keepers.running(interpreter, variables, preload=self.spec.worker_start != "cold")
        self.fork_blocker = keeper.fork_blocker
        return keeper
