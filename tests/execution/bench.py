"""A keeper to run trials on, with what a request needs filled in, and questions about what is left of them."""

from __future__ import annotations

import itertools
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vbench.execution import leftovers, verdict
from vbench.execution.engine_log import read_log
from vbench.execution.interpreters import find_interpreter
from vbench.execution.keeper_client import Keeper
from vbench.execution.live_engine import LiveEngine
from vbench.execution.memory import UnmeasuredMemory
from vbench.execution.runner import OnEvent, RawTrial, run_trial
from vbench.outcome import Outcome
from vbench.records.record import Failure, Pass
from vbench.spec.types import Deadlines

How = Literal["fork", "cold"]
PROMPTS: Sequence[Mapping[str, Any]] = tuple(
    {"prompt_token_ids": list(range(100 + one, 106 + one))} for one in range(3)
)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A trial that ended, and what was made of it."""

    raw: RawTrial
    log: str
    outcome: Outcome
    failure: Failure | None
    passes: list[Pass]

    @property
    def failure_class(self) -> str | None:
        return self.failure.failure_class if self.failure is not None else None

    @property
    def why(self) -> Failure:
        """The failure of a trial that must have one."""
        assert self.failure is not None, "the trial completed"
        return self.failure

    def phases(self) -> list[str]:
        return [str(message["name"]) for message in self.raw.of("phase")]


@dataclass(kw_only=True)
class Bench:
    """A running keeper. `run` starts one trial on it; the engine settings given are added to the bench's own."""

    keeper: Keeper
    engine: str
    model: str
    engine_args: Mapping[str, Any]
    run_uid: str
    folder: Path
    ids: Iterator[int] = field(default_factory=itertools.count)

    def run(
        self,
        *,
        how: How = "fork",
        engine_args: Mapping[str, Any] | None = None,
        model: str | Path | None = None,
        prompts: Sequence[Mapping[str, Any]] = PROMPTS,
        deadlines: Deadlines | None = None,
        on_event: OnEvent = lambda _: None,
        engine: LiveEngine | None = None,
        **request: Any,
    ) -> Ran:
        number = next(self.ids)
        prompts_file = self.folder / f"prompts-{number}.jsonl"
        prompts_file.write_text("".join(json.dumps(one) + "\n" for one in prompts))
        log = self.folder / f"{number}.log"
        whole = {
            "engine": self.engine,
            "model": str(model or self.model),
            "engine_args": {**self.engine_args, **(engine_args or {})},
            "environment": {},
            "prompts_file": str(prompts_file),
            "output_tokens": 4,
            "max_tokens": None,
            "warmup_passes": 1,
            "passes": 2,
            "max_seconds": None,
            **request,
        }
        limits = deadlines or Deadlines(load_s=240, pass_s=240, close_s=60)
        raw = run_trial(
            self.keeper, trial_id=number, how=how, request=whole, deadlines=limits, log=log, run_uid=self.run_uid,
            on_event=on_event, engine=engine,
        )  # fmt: skip
        text = read_log(log, raw.log_start)
        outcome, failure, passes = verdict.judge(raw, text, limits, len(prompts))
        return Ran(raw=raw, log=text, outcome=outcome, failure=failure, passes=passes)

    def close(self, engine: LiveEngine) -> list[str]:
        """Close one that a trial with `keep_engine` left alive."""
        return engine.close(
            within_s=60, run_uid=self.run_uid, kept_pids=[self.keeper.pid], source_for=lambda *_: UnmeasuredMemory()
        )

    def processes(self) -> list[int]:
        """What of this bench runs besides the keeper."""
        return leftovers.marked_processes(self.run_uid, excluding=[self.keeper.pid])

    def temp_folders(self) -> list[Path]:
        return temp_folders(self.run_uid)


@contextmanager
def open_bench(
    engine: str,
    folder: Path,
    *,
    model: str | Path = "any",
    engine_args: Mapping[str, Any] | None = None,
    preload: bool = True,
) -> Iterator[Bench]:
    """A keeper for the engine in this interpreter; raises MachineError where there is no such engine."""
    run_uid = uuid.uuid4().hex
    interpreter = find_interpreter(None, engine)
    environment = {"OMP_NUM_THREADS": "1"}
    log = folder / "keeper.log"
    with Keeper(interpreter, engine, preload=preload, environment=environment, run_uid=run_uid, log=log) as keeper:
        keeper.wait_ready(240)
        yield Bench(
            keeper=keeper,
            engine=engine,
            model=str(model),
            engine_args=engine_args or {},
            run_uid=run_uid,
            folder=folder,
        )


def temp_folders(run_uid: str) -> list[Path]:
    """The temporary folders of a run that are still there."""
    probe = leftovers.make_temp_folder(run_uid)
    probe.rmdir()
    prefix = probe.name[: probe.name.index(run_uid[:8]) + 8]
    return [path for path in probe.parent.iterdir() if path.name.startswith(prefix)]


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped doesn't."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(is_so: Callable[[], object], within_s: float = 120.0) -> bool:
    """Poll until it is so; False when it wasn't within the time."""
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def pid_of(message: Mapping[str, Any]) -> int:
    """The pid that a trial says in its first message."""
    return int(message["pid"])


def read_pid_link(pid: int, name: str) -> str:
    """`/proc/PID/<name>` of a running process, e.g. `fd/0`."""
    return os.readlink(f"/proc/{pid}/{name}")
