"""What is measured: each metric declared once (name, unit, direction, formula), and computed from a trial's samples.

Tables, axis labels, objectives, constraints and docs all read METRICS. Definitions are those of vLLM's
`vllm bench serve` (vllm/benchmarks/serve.py, `calculate_metrics`). Passes are the samples: the value of a trial is the
median over its timed passes for throughputs, and the percentile over all timed requests for latencies. What can't be
computed is None, never 0.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from vbench import pass_counts
from vbench.goodput import goodput
from vbench.records.packed import PackedMeasurements
from vbench.records.record import Pass, Phase, Quality

PERCENTILES = (50, 90, 95, 99)


class Samples(NamedTuple):
    """What metrics are computed from: timed passes, phases, and the latencies (ms) that a good request keeps."""

    passes: Sequence[Pass]
    phases: Sequence[Phase]
    goodput: Mapping[str, float] = {}
    quality: Quality | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One thing that is measured. `compute` takes the timed passes and the phases; None means it can't be computed."""

    name: str
    label: str
    unit: str
    direction: Literal["maximize", "minimize"]
    formula: str
    compute: Callable[[Samples], Any]
    is_distribution: bool = False
    """Whether the value is `{mean, p50, p90, p95, p99}`; addressed as `p95_ttft_s` or `mean_ttft_s`."""


def percentile(values: Sequence[float], q: float) -> float:
    """Linear interpolation between closest ranks (NumPy's default). `values` must not be empty.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 50)
    2.5
    """
    ordered = sorted(values)
    position = (len(ordered) - 1) * q / 100
    low, high = int(position), min(int(position) + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def distribution(values: Iterable[float | None]) -> dict[str, float] | None:
    """`{mean, p50, p90, p95, p99}` of what is there; None when nothing is."""
    present = [value for value in values if value is not None]
    if not present:
        return None
    summary = {"mean": statistics.fmean(present)}
    summary.update({f"p{q}": percentile(present, q) for q in PERCENTILES})
    return summary


def pass_throughput(one: Pass, tokens: Callable[[Pass], int]) -> float | None:
    """Tokens (or requests) of a pass over its duration; None for a pass without duration."""
    return tokens(one) / one.duration_s if one.duration_s > 0 else None


def output_tokens(one: Pass) -> int:
    """Tokens generated in a pass."""
    return sum(one.requests.output_tokens)


def _median_rate(count: Callable[[Pass], int]) -> Callable[[Samples], float | None]:
    def compute(samples: Samples) -> float | None:
        rates = [rate for one in samples[0] if (rate := pass_throughput(one, count)) is not None]
        return statistics.median(rates) if rates else None

    return compute


def _latency(column: Literal["ttft_s", "tpot_s", "e2e_latency_s"]) -> Callable[[Samples], dict[str, float] | None]:
    def compute(samples: Samples) -> dict[str, float] | None:
        return distribution(value for one in samples[0] for value in getattr(one.requests, column) or ())

    return compute


def _itl(samples: Samples) -> dict[str, float] | None:
    return distribution(gap for one in samples[0] for gaps in one.requests.itl_s or () for gap in gaps)


def _counter_ratio(numerator: str, denominator: str) -> Callable[[Samples], float | None]:
    def compute(samples: Samples) -> float | None:
        tops = [one.engine_metrics.get(numerator) for one in samples[0]]
        bottoms = [one.engine_metrics.get(denominator) for one in samples[0]]
        if not tops or None in tops or None in bottoms:
            return None
        total = sum(value for value in bottoms if value is not None)
        return sum(value for value in tops if value is not None) / total if total else None

    return compute


def _counter_sum(name: str) -> Callable[[Samples], float | None]:
    def compute(samples: Samples) -> float | None:
        values = [one.engine_metrics[name] for one in samples[0] if name in one.engine_metrics]
        return sum(values) if values and len(values) == len(samples[0]) else None

    return compute


def _work_count(count: Callable[[Pass], int | None]) -> Callable[[Samples], int | None]:
    def compute(samples: Samples) -> int | None:
        counts = [count(one) for one in samples[0]]
        return None if not counts or None in counts else sum(number for number in counts if number is not None)

    return compute


def _acceptance_length(samples: Samples) -> float | None:
    per_draft = _counter_ratio("spec_decode_num_accepted_tokens", "spec_decode_num_drafts")(samples)
    return None if per_draft is None else 1 + per_draft


def _peak_memory(samples: Samples) -> int | None:
    # The check of the answers makes logits of whole prompts, as no user does, and an allocator keeps what that took.
    check_s = min((phase.start_s for phase in samples[1] if phase.name == "quality"), default=math.inf)
    before = [phase.peak_memory_bytes for phase in samples[1] if phase.start_s < check_s]
    return max((peak for peak in before if peak is not None), default=None)


def _nll_per_token(samples: Samples) -> float | None:
    tokens = sum(samples.quality.tokens) if samples.quality is not None else 0
    return math.fsum(samples.quality.nll) / tokens if samples.quality is not None and tokens else None


def _startup(samples: Samples) -> float | None:
    parts = [phase.end_s - phase.start_s for phase in samples[1] if phase.name in ("start", "import", "load")]
    return sum(parts) if any(phase.name == "load" for phase in samples[1]) else None


METRICS: tuple[Metric, ...] = (
    Metric(name="output_throughput_tok_s", label="Output throughput", unit="tok/s", direction="maximize",
           formula="output tokens of a pass ÷ its wall time; median over timed passes",
           compute=_median_rate(output_tokens)),
    Metric(name="total_token_throughput_tok_s", label="Total token throughput", unit="tok/s", direction="maximize",
           formula="(prompt + output tokens) of a pass ÷ its wall time; median over timed passes",
           compute=_median_rate(lambda p: output_tokens(p) + sum(p.requests.input_tokens))),
    Metric(name="request_throughput_req_s", label="Request throughput", unit="req/s", direction="maximize",
           formula="requests of a pass ÷ its wall time; median over timed passes",
           compute=_median_rate(lambda p: len(p.requests.output_tokens))),
    Metric(name="request_goodput_req_s", label="Request goodput", unit="req/s", direction="maximize",
           formula="requests that keep every bound of `goodput` ÷ wall time of the pass; median over timed passes",
           compute=lambda samples: goodput(samples.passes, samples.goodput)),
    Metric(name="ttft_s", label="Time to first token", unit="s", direction="minimize", is_distribution=True,
           formula="first token − request start", compute=_latency("ttft_s")),
    Metric(name="tpot_s", label="Time per output token", unit="s", direction="minimize", is_distribution=True,
           formula="(E2E − TTFT) ÷ (output tokens − 1), one per request with 2 tokens or more",
           compute=_latency("tpot_s")),
    Metric(name="itl_s", label="Inter-token latency", unit="s", direction="minimize", is_distribution=True,
           formula="gap between consecutive chunks of a request's stream; streaming only", compute=_itl),
    Metric(name="e2e_latency_s", label="End-to-end latency", unit="s", direction="minimize", is_distribution=True,
           formula="last token − request start", compute=_latency("e2e_latency_s")),
    Metric(name="peak_memory_bytes", label="Peak memory", unit="B", direction="minimize",
           formula="largest in any phase before the quality check: the process tree's PSS on a CPU, the fullest GPU's "
                   "otherwise",
           compute=_peak_memory),
    Metric(name="startup_s", label="Start-up", unit="s", direction="minimize",
           formula="worker start to engine ready (start + import + load)", compute=_startup),
    Metric(name="prefix_cache_hit_rate", label="Prefix-cache hit rate", unit="", direction="maximize",
           formula="prompt tokens found in the prefix cache ÷ prompt tokens, over timed passes",
           compute=_counter_ratio("prefix_cache_hits", "prompt_tokens")),
    Metric(name="num_short_outputs", label="Short outputs", unit="", direction="minimize",
           formula="answers with fewer tokens than asked for, over timed passes",
           compute=_work_count(pass_counts.num_short_outputs)),
    Metric(name="num_early_stops", label="Early stops", unit="", direction="minimize",
           formula="answers of an exact length that ended at a stop, over timed passes",
           compute=_work_count(pass_counts.num_early_stops)),
    Metric(name="num_truncated_prompts", label="Truncated prompts", unit="", direction="minimize",
           formula="prompts that the engine cut, of those whose tokens are known, over timed passes",
           compute=_work_count(pass_counts.num_truncated_prompts)),
    Metric(name="num_preemptions", label="Preemptions", unit="", direction="minimize",
           formula="preempted requests over timed passes", compute=_counter_sum("num_preemptions")),
    Metric(name="acceptance_rate", label="Draft acceptance rate", unit="", direction="maximize",
           formula="accepted ÷ drafted tokens over timed passes",
           compute=_counter_ratio("spec_decode_num_accepted_tokens", "spec_decode_num_draft_tokens")),
    Metric(name="mean_acceptance_length", label="Mean accepted length", unit="tok", direction="maximize",
           formula="1 + accepted tokens ÷ drafts over timed passes", compute=_acceptance_length),
    Metric(name="nll_per_token", label="NLL per token", unit="nat", direction="minimize",
           formula="negative log-likelihood of the quality check's texts ÷ their tokens", compute=_nll_per_token),
    Metric(name="nll_increase", label="NLL increase", unit="", direction="minimize",
           formula="negative log-likelihood of the texts ÷ the reference's, minus 1 (0 of the reference)",
           compute=lambda samples: None if samples.quality is None else samples.quality.nll_increase),
    Metric(name="greedy_agreement", label="Greedy agreement", unit="", direction="maximize",
           formula="share of the reference's greedy tokens before the first difference (1 of the reference)",
           compute=lambda samples: None if samples.quality is None else samples.quality.greedy_agreement),
)  # fmt: skip
BY_NAME = {metric.name: metric for metric in METRICS}


def measure(
    passes: Sequence[Pass], phases: Sequence[Phase], goodput: Mapping[str, float] | None = None,
    quality: Quality | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Every metric of a trial from its samples, by name. Warm-up passes are left out here and nowhere else.

    `goodput`: the bounds of a good request in milliseconds, by `ttft`, `tpot`, `e2el`.
    """
    samples = Samples([one for one in passes if one.kind == "timed"], phases, goodput or {}, quality)
    return {metric.name: metric.compute(samples) for metric in METRICS}


def quality_measurements(quality: Quality) -> dict[str, Any]:
    """Those of the metrics that come from the check of the answers alone, by name."""
    samples = Samples((), (), {}, quality)
    return {name: BY_NAME[name].compute(samples) for name in ("nll_per_token", "nll_increase", "greedy_agreement")}


def metric_names() -> list[str]:
    """Every name that an objective or a constraint may use: plain ones, and `p95_…`/`mean_…` of the distributions."""
    return list(_PLACES)


_PLACES: dict[str, tuple[str, str | None]] = {  # of each name the metric, and the part of its distribution
    f"{part}_{one.name}" if part else one.name: (one.name, part)
    for one in METRICS
    for part in (("mean", *(f"p{q}" for q in PERCENTILES)) if one.is_distribution else (None,))
}


def value_of(measurements: Mapping[str, Any], name: str) -> float | None:
    """A measurement by the name that objectives and constraints use (`p95_ttft_s`), None where it wasn't measured."""
    if isinstance(measurements, PackedMeasurements):
        return measurements.number(name)
    base, part = _PLACES.get(name, ("", None))
    value = measurements.get(base)
    value = value if part is None else value.get(part) if isinstance(value, dict) else None
    return None if value is None else float(value)


def metric_of(name: str) -> Metric:
    """The declaration behind a name (`p95_ttft_s` → `ttft_s`); raises KeyError for a name that isn't one."""
    return BY_NAME[name] if name in BY_NAME else BY_NAME[name.partition("_")[2]]
