"""What may be compared with what. Decides which two trials say nothing of each other, and why.

Refused is what would compare different work, or something that isn't a measurement; what only has to be known (another
model, another card, no turns taken) is a note beside the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vbench.analysis.answer import FAKE_ENGINE
from vbench.analysis.disturbance import spoils
from vbench.analysis.remeasure import finals_of
from vbench.metrics import metric_of, output_tokens, value_of
from vbench.outcome import Outcome
from vbench.records.record import Quality, TrialRecord
from vbench.spec.calling import whole_load
from vbench.spec.types import Objective

_TOKENS = "total_token_throughput_tok_s"
_GOODPUT = "request_goodput_req_s"
NLL = "nll_per_token"
"""Negative log-likelihood per token, of fixed texts."""
QUALITY = (NLL, "nll_increase", "greedy_agreement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A trial that is compared, and what is known around it."""

    name: str
    """For people: `demo/20261121-113655:3`."""
    run: str
    """Which run it is of; the same text for two trials of one run."""
    record: TrialRecord
    """With its finals' passes, where it has some."""
    records: Sequence[TrialRecord] = ()
    """All of the run."""
    objective: Objective
    machine: Mapping[str, Any] = field(default_factory=dict)
    """The run's `machine.json`."""
    is_emulated: bool = False
    """Whether the run held the engine to another, smaller card."""

    @property
    def mode(self) -> str:
        """The way of calling: offline, async or server."""
        return str(self.record.config.get("mode", "offline"))

    @property
    def load(self) -> dict[str, Any]:
        """How requests were sent; empty offline, where they are given at once."""
        return {} if self.mode == "offline" else whole_load(self.record.config.get("load") or {})

    @property
    def is_fake(self) -> bool:
        """Whether the numbers come from a formula."""
        return FAKE_ENGINE in (self.record.engine.name, self.record.config.get("engine"))

    @property
    def hardware(self) -> str:
        """`2 × NVIDIA RTX 3090`, or the processor's name; `unknown hardware` where no file says."""
        gpus = self.record.hardware.get("gpus")
        names = [str(gpu.get("name") or "GPU") for gpu in gpus or () if isinstance(gpu, Mapping)]
        if names:
            kinds = dict.fromkeys(names)
            return ", ".join(f"{names.count(one)} × {one}" if names.count(one) > 1 else one for one in kinds)
        cpu = self.machine.get("cpu")
        model = cpu.get("model") if isinstance(cpu, Mapping) else cpu
        cores = self.machine.get("cpus_allowed") or self.machine.get("cpu_count")
        if not model:
            return str(self.record.hardware.get("profile") or "unknown hardware")
        return f"{model}, {cores} cores" if cores else str(model)


def refusals(a: Side, b: Side, metric: str) -> list[str]:
    """Every reason why B's `metric` over A's would say nothing; empty where they may be compared."""
    if a.run == b.run and a.record.trial == b.record.trial:
        return [f"both are {a.name}: name two trials"]
    found = [text for side, letter in ((a, "A"), (b, "B")) if (text := _unmeasured(side.record, letter))]
    if a.is_fake != b.is_fake:
        real, fake = ("B", "A") if a.is_fake else ("A", "B")
        found.append(f"{fake} is an estimate and {real} a measurement: the fake engine's numbers come from a formula")
    found += _other_work(a.record, b.record)
    if not found:
        why = missing(a, b, metric)
        found += [why] if why else []
    return found


def missing(a: Side, b: Side, metric: str) -> str | None:
    """Why this metric can't be compared though the trials can; None where it can."""
    declared = metric_of(metric)
    if declared.is_distribution and (a.mode != b.mode or a.load != b.load):
        return (
            f"{metric} isn't comparable: A was {_called(a)}, B {_called(b)}, and a latency depends on how "
            "requests are sent"
        )
    if metric == _GOODPUT and a.record.config.get("goodput") != b.record.config.get("goodput"):
        return f"{metric} isn't comparable: the bounds of `goodput` differ"
    if metric == _GOODPUT and (a.mode != b.mode or a.load != b.load):
        return f"{metric} isn't comparable: A was {_called(a)}, B {_called(b)}"
    if metric == _TOKENS and a.record.prompt_set.input_tokens != b.record.prompt_set.input_tokens:
        return f"{metric} isn't comparable: the same prompts are other numbers of tokens in A and B"
    if metric in QUALITY and (why := _other_quality(a.record.quality, b.record.quality, metric)):
        return f"{metric} isn't comparable: {why}"
    without = [letter for side, letter in ((a, "A"), (b, "B")) if value_of(side.record.measurements, metric) is None]
    return f"{metric} wasn't measured in {' and '.join(without)}: choose another with --metric" if without else None


def notes(a: Side, b: Side) -> list[str]:
    """What a reader of the comparison must know, most important first."""
    found = []
    if a.is_fake:
        found.append("Both ran on the fake engine: not measurements.")
    for side, letter in ((a, "A"), (b, "B")):
        if side.is_emulated:
            found.append(f"{letter} was held to a smaller card's memory; its speed is that of {side.hardware}.")
        if side.record.outcome is Outcome.OVER_BUDGET:
            found.append(f"{letter} went over its memory budget.")
        found += _disturbed(side, letter)
    models = [str(side.record.config.get("model", "")) for side in (a, b)]
    if models[0] != models[1]:
        found.append(f"The models differ: {models[0]} in A, {models[1]} in B.")
    if a.hardware != b.hardware:
        found.append(f"The hardware differs: {a.hardware} in A, {b.hardware} in B.")
    if a.mode != b.mode or a.load != b.load:
        found.append(
            f"A was {_called(a)}, B {_called(b)}: throughputs include what the way of calling costs, and latencies "
            "aren't compared."
        )
    elif a.load.get("request_rate") is not None:
        found.append("Requests came at a given rate: a throughput only says whether the engine kept up with it.")
    starts = [side.record.environment.get("worker_start") for side in (a, b)]
    if None not in starts and starts[0] != starts[1]:
        found.append(f"The engine was started in another way ({starts[0]}, {starts[1]}), which is in start-up times.")
    if a.objective.metric != b.objective.metric:
        found.append(f"The runs' objectives differ: {a.objective.metric} in A, {b.objective.metric} in B.")
    return found


def _disturbed(side: Side, letter: str) -> list[str]:
    """What likely hurt the trials whose passes a side stands with, each by itself."""
    numbers = finals_of(side.record)
    measured = [one for one in side.records if one.trial in numbers] if numbers else [side.record]
    found = [one for record in measured for one in spoils(record)]
    if not found:
        return []
    hurt = f" in {len([one for one in measured if spoils(one)])} of its {len(measured)} trials" if numbers else ""
    worst = max(found, key=lambda one: one.amount)
    return [f"{letter} was likely hurt{hurt} by what else the machine did: {worst.cause}."]


def _unmeasured(record: TrialRecord, letter: str) -> str | None:
    if record.outcome.is_measured:
        return None
    if record.outcome is Outcome.PRUNED:
        return (
            f"{letter}, trial {record.trial}, was stopped early: what is known of it is an estimate of how good it is"
        )
    cause = f" ({record.failure.failure_class})" if record.failure else ""
    return f"{letter}, trial {record.trial}, wasn't measured: {record.outcome.value.replace('_', ' ')}{cause}"


def _other_work(a: TrialRecord, b: TrialRecord) -> list[str]:
    """Other lengths asked are part of the digest, so they are named first, as the cause."""
    one, two = a.prompt_set, b.prompt_set
    if one.output_tokens != two.output_tokens:
        return [f"other output lengths were asked: {_asked(one.output_tokens)} in A, {_asked(two.output_tokens)} in B"]
    if one.sha256 != two.sha256:
        return [
            f"the prompt sets differ: {one.source} ({one.sha256[:12]}) in A, {two.source} ({two.sha256[:12]}) in B; "
            "`vbench prompts freeze` keeps one for both"
        ]
    made, other = _generated(a), _generated(b)
    if made != other and made and other:
        return [
            f"other numbers of tokens were generated: {_listed(made)} a pass in A, {_listed(other)} in B; with "
            "`output_tokens` and without `until_stop` each answer has the length that was asked"
        ]
    return []


def _generated(record: TrialRecord) -> set[int]:
    return {output_tokens(one) for one in record.passes if one.kind == "timed"}


def _other_quality(a: Quality | None, b: Quality | None, metric: str) -> str | None:
    """Why the checks of the answers were of other work; None where they may be compared, or one is missing."""
    if a is None or b is None:
        return None
    if metric == "greedy_agreement":
        return None if list(map(len, a.greedy)) == list(map(len, b.greedy)) else "other answers were compared"
    if a.texts_sha256 != b.texts_sha256:
        return "the texts differ"
    if a.tokens != b.tokens:
        return "the same texts are other numbers of tokens in A and B"
    return None


def _asked(tokens: int | None) -> str:
    return "until it stops" if tokens is None else f"{tokens} tokens"


def _listed(counts: set[int]) -> str:
    ends = sorted({min(counts), max(counts)}) if counts else []
    return " to ".join(f"{one:,}" for one in ends) or "none"


def _called(side: Side) -> str:
    given = {name: value for name, value in side.load.items() if value is not None and name != "seed"}
    return f"{side.mode} ({', '.join(f'{name} {value}' for name, value in given.items())})" if given else side.mode
