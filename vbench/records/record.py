"""The record of one trial: one line of `trials.jsonl`.

History of the format (`schema_version`), newest first; the reader accepts every version listed here:

1  2026-11  first version

Rules: samples are kept (each pass, each request), summaries beside them are derived from these samples alone;
what could not be measured is null, never 0; bytes and seconds; times within a record count from the trial's start
on the monotonic clock. Unknown keys from a newer minor writer are kept on reading.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vbench.outcome import Outcome

SCHEMA_VERSION = 1


Origin = Literal["baseline", "search", "random", "final", "interference", "reference", "compare", "run"]
"""Who asked for a trial: the sweep's baseline, its search, the random arm, the finals, the check whether trials side by
side disturb each other, the reference that is measured again now and then, a comparison; or there is nothing to search
(`run`)."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())


class Failure(_Stored):
    """Why a trial didn't complete. `failure_class` is stored under the key `class`."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True, serialize_by_alias=True)

    failure_class: str = Field(alias="class")
    """A stable word of `execution.failures.CLASSES`, e.g. `kv_cache_too_small`."""
    evidence: str
    """The engine's own line that shows it (or what the runner saw: an exit code, a deadline)."""
    advice: str
    """What to try, in one sentence."""
    phase: str | None = None
    """The phase in which it happened: start, import, load, warmup, pass, close."""


class Requests(_Stored):
    """One pass's requests, column-wise, in the prompt set's order. A column is null where the engine has none."""

    input_tokens: list[int]
    output_tokens: list[int]
    ttft_s: list[float | None] | None = None
    tpot_s: list[float | None] | None = None
    e2e_latency_s: list[float | None] | None = None
    itl_s: list[list[float]] | None = None
    """Gaps between consecutive tokens, per request: only streaming ways of calling have them."""
    asked_tokens: int | list[int] | None = None
    """Output tokens asked of each, of all its answers together: one number where all are alike; null where each runs
    until it stops."""
    finish_reasons: list[str | None] | None = None
    """Why each answer ended, in the engine's words (`length`, `stop`); of several answers the first's."""
    given_tokens: list[int | None] | None = None
    """Prompt tokens that were handed to the engine, where they are known before it counts them: fewer in
    `input_tokens` mean a truncated prompt."""


class Pass(_Stored):
    """One traversal of the prompt set (`probe`: of a few of its prompts). Only timed ones count in a summary:
    `unsettled` is one that was to be timed, and came before the throughput had settled."""

    index: int
    kind: Literal["probe", "warmup", "unsettled", "timed"]
    start_s: float
    duration_s: float
    requests: Requests
    output_sha256: str | None = None
    """Digest of the generated token ids, to compare configurations' outputs."""
    engine_metrics: dict[str, float] = Field(default_factory=dict)
    """Differences of the engine's own counters over this pass (prefix cache hits, preemptions, drafted tokens, …)."""


class Phase(_Stored):
    """A stretch of the trial: start, import, load, probe, warmup, pass, close, and after_close (waiting for the GPUs'
    memory). `index` counts within a name."""

    name: str
    index: int = 0
    start_s: float
    end_s: float
    peak_memory_bytes: int | None = None
    host: dict[str, Any] | None = None
    """What else the machine did in this phase (`execution.host_load.HostLoad`); null where it can't be told."""
    gpus: list[dict[str, Any]] | None = None
    """Each GPU in this phase (`hardware.gpu_phases.GpuPhase`): peaks, power, energy, clocks; null without GPUs."""


class EngineFacts(_Stored):
    """Which engine ran, and what it reported about itself."""

    name: str
    version: str | None = None
    python: str | None = None
    """The interpreter's version (`3.11.7`)."""
    facts: dict[str, Any] = Field(default_factory=dict)
    """`weights_bytes`, `kv_cache_tokens`, `kv_cache_bytes`, `dtype`, `quantization`, … as the engine said."""


class PromptSetFacts(_Stored):
    """The fixed inputs, known by their digest."""

    sha256: str
    num_prompts: int
    output_tokens: int | None
    """Tokens asked of each request; null where it runs until it stops."""
    source: str
    """The file or the synthetic recipe, for people."""
    input_tokens: int | None = None
    """Total prompt tokens as the engine counted them."""


class Stopped(_Stored):
    """Why a trial was stopped early (`search.early_stop` has the rule). The trial's objective value is estimated to be
    no better than `bound`, at that error rate."""

    phase: str
    """In which: probe, warmup or pass."""
    index: int = 0
    after_s: float
    """Seconds of that phase until the stop."""
    bound: float
    """In the objective's own unit."""
    incumbent_trial: int
    incumbent_value: float
    error_rate: float


class Quality(_Stored):
    """How good a configuration's answers are: the likelihood it gives to fixed texts, and its greedy answers."""

    texts_sha256: str
    nll: list[float]
    """Per text: the negative log-likelihood (nats) of all its tokens but the first, given those before."""
    tokens: list[int]
    """Per text: how many tokens that sum is over."""
    greedy: list[list[int]]
    """Token ids of the greedy answers to the first prompts of the prompt set."""
    self_agreement: float | None = None
    """Share of tokens, before the first difference, that it gives alone as in a batch; null where it wasn't asked."""
    duration_s: float
    """What it cost; in no metric of speed."""
    reference_trial: int | None = None
    """The trial that the following are against; null while there is none, and of the reference itself."""
    nll_increase: float | None = None
    """Negative log-likelihood per token over the reference's, minus 1."""
    nll_increase_interval: tuple[float, float] | None = None
    """95 %, over texts."""
    greedy_agreement: float | None = None
    """Share of the reference's greedy tokens that come before the first difference."""


class Spoiled(_Stored):
    """A first attempt that something else disturbed: the record is of the second."""

    why: list[str]
    """What disturbed it."""
    measurements: dict[str, Any] = Field(default_factory=dict)
    passes: list[Pass] = Field(default_factory=list)
    duration_s: float | None = None


class TrialRecord(_Stored):
    """One trial, as stored."""

    schema_version: int = SCHEMA_VERSION
    trial: int
    """Counts from 0 within a run; the baseline, where there is one, is trial 0."""
    origin: Origin = "search"
    config: dict[str, Any]
    """The full effective parameters: `engine`, `model` and every engine argument passed, under vLLM's names."""
    parameters: dict[str, Any]
    """What the search chose, by dotted name (`quantization`, `speculative_config.ngram.num_speculative_tokens`);
    a plain option by its value, one that carries settings (and `none`) by its label."""
    outcome: Outcome
    failure: Failure | None = None
    stopped: Stopped | None = None
    """Of a pruned trial; null else."""
    repeat_of: int | None = None
    """The trial whose configuration this one measures again (a final, an interference check, a reference)."""
    measurements: dict[str, Any] = Field(default_factory=dict)
    """By metric name (`vbench.metrics`): a number, null, or for latencies `{mean, p50, p90, p95, p99}`."""
    constraint_violations: dict[str, float] = Field(default_factory=dict)
    """By constraint text: how far beyond its bound, relative to the bound (> 0 violated, ≤ 0 kept)."""
    passes: list[Pass] = Field(default_factory=list)
    quality: Quality | None = None
    """Null where it wasn't asked for."""
    spoiled: Spoiled | None = None
    """The attempt before this one, where that was disturbed."""
    engine: EngineFacts
    prompt_set: PromptSetFacts
    hardware: dict[str, Any] = Field(default_factory=dict)
    """`profile` and what it stands for; how memory was measured (`memory_source`); on GPUs `gpus` and `driver`."""
    environment: dict[str, Any] = Field(default_factory=dict)
    """Environment variables that were set for the trial, the way the worker was started, versions that matter."""
    phases: list[Phase] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    """What makes the numbers less trustworthy, as sentences with advice."""
    estimate: dict[str, Any] | None = None
    """What the planner expected: `verdict`, `reason`, `per_gpu` bytes, `kv_blocks`, …; null if not planned."""
    started_at: str
    """UTC, ISO 8601; a label, never used in arithmetic."""
    duration_s: float | None = None
    """The whole trial, worker start to clean machine."""

    def to_json_line(self) -> str:
        """One line of JSON without a newline inside. Raises ValueError for NaN, infinities and non-JSON values.

        Not pydantic's own serialiser, which writes NaN as null: a wrong number would look like one not measured.
        """
        data = self.model_dump(by_alias=True)
        try:
            return json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        except (ValueError, TypeError) as error:
            raise ValueError(f"trial {self.trial} can't be stored as JSON: {error}") from error
