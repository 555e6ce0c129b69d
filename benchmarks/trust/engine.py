"""Trials of one configuration by the product's own runner: each on a fresh engine, or all on a kept one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vbench.execution.engine_log import read_log
from vbench.execution.interpreters import find_interpreter
from vbench.execution.keeper_client import Keeper
from vbench.execution.live_engine import LiveEngine
from vbench.execution.memory import MemorySource, ProcessTreeMemory, UnmeasuredMemory
from vbench.execution.runner import RawTrial, run_trial
from vbench.execution.verdict import judge, phases_of
from vbench.metrics import measure, output_tokens
from vbench.outcome import Outcome
from vbench.records.record import Pass
from vbench.spec.types import Deadlines

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = ROOT / "sweeps" / "prompts" / "demo.jsonl"
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
ENGINE_ARGS = {
    "max_model_len": 1024,
    "dtype": "bfloat16",
    "enforce_eager": True,
    "kv_cache_memory_bytes": 128 * 1024**2,
    "enable_prefix_caching": False,
}
How = Literal["fork", "cold"]
SourceFor = Callable[[int, int | None], MemorySource]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A completed trial: its passes of every kind, and its metrics (`vbench.metrics`)."""

    passes: list[Pass]
    measured: dict[str, Any]
    duration_s: float

    @property
    def tok_s(self) -> float:
        """Output tokens per second, the median over its timed passes."""
        return float(self.measured["output_throughput_tok_s"])

    @property
    def timed(self) -> list[float]:
        """Output tokens per second of each timed pass."""
        return [output_tokens(one) / one.duration_s for one in self.passes if one.kind == "timed"]


def demo_prompts(count: int) -> list[dict[str, Any]]:
    """The first of the demo's prompts, as text."""
    with PROMPTS.open(encoding="utf-8") as file:
        found: list[dict[str, Any]] = [json.loads(line) for line in file]
    if not 0 < count <= len(found):
        raise SystemExit(f"{PROMPTS.name} has {len(found)} prompts, not {count}")
    return found[:count]


class Engine:
    """A keeper and one configuration. Use as a context manager: nothing that it starts stays."""

    def __init__(
        self, folder: Path, model: Path, prompts: Sequence[Mapping[str, Any]], output_tokens: int, *,
        engine: str = "vllm", engine_args: Mapping[str, Any] = ENGINE_ARGS, preload: bool = True,
    ) -> None:  # fmt: skip
        self._folder, self._uid, self._count = folder, uuid.uuid4().hex, 0
        self._name, self.num_prompts = engine, len(prompts)
        self._live: LiveEngine | None = None
        self.prompts_file = folder / f"prompts-{self._uid[:8]}.jsonl"
        self.prompts_file.write_text("".join(json.dumps(one) + "\n" for one in prompts), encoding="utf-8")
        self._request = {
            "engine": engine, "model": str(model.resolve()), "engine_args": dict(engine_args),
            "environment": ENVIRONMENT, "prompts_file": str(self.prompts_file), "output_tokens": output_tokens,
            "max_tokens": None, "warmup_passes": 1, "passes": 1, "max_seconds": None, "settle": False,
        }  # fmt: skip
        self.keeper = Keeper(
            find_interpreter(None, engine), engine, preload=preload, environment=ENVIRONMENT, run_uid=self._uid,
            log=folder / f"keeper-{self._uid[:8]}.log",
        )  # fmt: skip
        self.keeper.wait_ready(300)
        if preload and not self.keeper.can_fork:
            self.keeper.close()
            raise SystemExit(f"forking isn't possible here: {self.keeper.fork_blocker}")

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self.let_go()
        self.keeper.close()

    def fresh(self, how: How = "fork", source_for: SourceFor = ProcessTreeMemory, **request: Any) -> Ran:
        """A trial on an engine of its own."""
        return self._finished(self._raw(how, source_for, None, request))

    def again(self, source_for: SourceFor = ProcessTreeMemory, **request: Any) -> Ran:
        """A trial on the kept engine. The first starts it and warms it up; the others have no warm-up unless asked."""
        warmup = {} if self._live is None else {"warmup_passes": 0}
        raw = self._raw("fork", source_for, self._live, {**warmup, **request, "keep_engine": True})
        self._live = raw.engine if raw.is_kept else None
        return self._finished(raw)

    def let_go(self) -> None:
        """Close the kept engine, if there is one."""
        live, self._live = self._live, None
        if live is not None:
            live.close(
                within_s=20, run_uid=self._uid, kept_pids=[self.keeper.pid],
                source_for=lambda *_: UnmeasuredMemory(),
            )  # fmt: skip

    def _raw(self, how: How, source_for: SourceFor, engine: LiveEngine | None, request: Mapping[str, Any]) -> RawTrial:
        self._count += 1
        return run_trial(
            self.keeper, trial_id=self._count, how=how, request={**self._request, **request}, deadlines=Deadlines(),
            log=self._log, run_uid=self._uid, on_event=lambda _: None, source_for=source_for, engine=engine,
        )  # fmt: skip

    @property
    def _log(self) -> Path:
        return self._folder / f"trial-{self._uid[:8]}-{self._count}.log"

    def _finished(self, raw: RawTrial) -> Ran:
        log = read_log(self._log, raw.log_start)
        outcome, failure, passes = judge(raw, log, Deadlines(), self.num_prompts)
        if outcome is not Outcome.COMPLETED:
            raise SystemExit(f"a trial ended as {outcome}: {failure}\n{log[-2000:]}")
        measured = measure(passes, phases_of(raw))
        return Ran(passes=passes, measured=measured, duration_s=raw.ended_t - raw.started_t)
