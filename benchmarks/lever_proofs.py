"""Proofs that a lever took effect: pure functions of a trial's record, and of the baseline's beside it.

A proof reads what the engine reported (its facts, its counters, the requests it answered, the digest of its tokens) and
never `record.config`, which only repeats what was asked for. Each can fail: `tests/levers` shows every one a record
without the lever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from vbench.records.record import Pass, TrialRecord


class Shown(NamedTuple):
    """Whether a record shows it, and in words what was seen."""

    is_shown: bool
    text: str


Proof = Callable[[TrialRecord, TrialRecord], Shown]
"""Of a record and the baseline's."""


def timed(record: TrialRecord) -> list[Pass]:
    """The passes that count."""
    return [one for one in record.passes if one.kind == "timed"]


def counted(record: TrialRecord, name: str) -> float | None:
    """An engine's counter over the timed passes; None where the engine has none."""
    values = [one.engine_metrics[name] for one in timed(record) if name in one.engine_metrics]
    return sum(values) if values else None


def digests(record: TrialRecord) -> set[str | None]:
    """Of the tokens of each timed pass."""
    return {one.output_sha256 for one in timed(record)}


def both(*proofs: Proof) -> Proof:
    """All of them."""

    def prove(record: TrialRecord, base: TrialRecord) -> Shown:
        shown = [proof(record, base) for proof in proofs]
        return Shown(bool(shown) and all(one.is_shown for one in shown), "; ".join(one.text for one in shown))

    return prove


def fact(**expected: Any) -> Proof:
    """What the engine says of itself equals this."""

    def prove(record: TrialRecord, _: TrialRecord) -> Shown:
        said = {name: record.engine.facts.get(name) for name in expected}
        return Shown(said == expected, ", ".join(f"{name} {_short(value)}" for name, value in said.items()))

    return prove


def fact_ratio(name: str, low: float, high: float) -> Proof:
    """A fact lies between `low` and `high` times the baseline's."""

    def prove(record: TrialRecord, base: TrialRecord) -> Shown:
        value, before = record.engine.facts.get(name), base.engine.facts.get(name)
        if not value or not before:
            return Shown(False, f"{name} not said")
        return Shown(low <= value / before <= high, f"{name} {value:,} (baseline {before:,})")

    return prove


def fact_differs(name: str) -> Proof:
    """The engine says it, and otherwise than in the baseline."""

    def prove(record: TrialRecord, base: TrialRecord) -> Shown:
        value, before = record.engine.facts.get(name), base.engine.facts.get(name)
        return Shown(value is not None and value != before, f"{name} {_short(value)} (baseline {_short(before)})")

    return prove


def measured(name: str, low: float, high: float = float("inf")) -> Proof:
    """A metric made of the engine's counters lies between `low` and `high`, both included."""

    def prove(record: TrialRecord, _: TrialRecord) -> Shown:
        value = record.measurements.get(name)
        if not isinstance(value, (int, float)):
            return Shown(False, f"{name} not measured")
        return Shown(low <= value <= high, f"{name} {value:.3g}")

    return prove


def latencies(*names: str) -> Proof:
    """Each of these has its mean and percentiles, in order and above 0."""

    def prove(record: TrialRecord, _: TrialRecord) -> Shown:
        parts, is_sound = [], True
        for name in names:
            spread = record.measurements.get(name)
            ranks: list[float] = [spread[f"p{q}"] for q in (50, 90, 95, 99)] if isinstance(spread, dict) else []
            is_sound &= bool(ranks) and ranks == sorted(ranks) and ranks[-1] > 0
            parts.append(f"{name} p50/p99 {ranks[0]:.3g}/{ranks[-1]:.3g} s" if ranks else f"{name} not measured")
        return Shown(is_sound, ", ".join(parts))

    return prove


def drafted(low: float = 0.0, high: float = 1.0) -> Proof:
    """Tokens were drafted; the share accepted lies between the bounds, and fits the mean accepted length."""

    def prove(record: TrialRecord, _: TrialRecord) -> Shown:
        tokens = counted(record, "spec_decode_num_draft_tokens") or 0
        accepted = counted(record, "spec_decode_num_accepted_tokens") or 0
        rate, length = (record.measurements.get(name) for name in ("acceptance_rate", "mean_acceptance_length"))
        if not tokens or rate is None or length is None:
            return Shown(False, f"{tokens:.0f} tokens drafted")
        text = f"{tokens:.0f} tokens drafted, {accepted:.0f} accepted (rate {rate:.3f}, mean length {length:.2f})"
        return Shown(low <= rate <= high and abs(rate - accepted / tokens) < 1e-9 and length >= 1, text)

    return prove


def generated(per_prompt: int) -> Proof:
    """The engine's own count of generated tokens, for each prompt of a pass."""

    def prove(record: TrialRecord, _: TrialRecord) -> Shown:
        prompts = record.prompt_set.num_prompts * len(timed(record))
        tokens = counted(record, "generation_tokens")
        return Shown(
            tokens is not None and prompts > 0 and tokens == per_prompt * prompts,
            f"generation_tokens {_short(tokens)} for {prompts} prompts",
        )

    return prove


def answered(per_prompt: int) -> Proof:
    """Tokens that came back for each prompt."""

    def prove(record: TrialRecord, _: TrialRecord) -> Shown:
        came = {tokens for one in timed(record) for tokens in one.requests.output_tokens}
        return Shown(came == {per_prompt}, f"{sorted(came)} tokens a prompt came back")

    return prove


def other_tokens(is_same_each_pass: bool = True) -> Proof:
    """Other tokens than the baseline's; the same in each pass, or other ones each time."""

    def prove(record: TrialRecord, base: TrialRecord) -> Shown:
        own = digests(record)
        is_other = bool(own) and None not in own and own.isdisjoint(digests(base))
        is_stable = len(own) == 1
        which, how = "differ from" if is_other else "are", "the same" if is_stable else "other ones"
        text = f"tokens {which} the baseline's, {how} each pass"
        return Shown(is_other and is_stable == is_same_each_pass, text)

    return prove


def same_tokens(record: TrialRecord, base: TrialRecord) -> Shown:
    """The baseline's tokens exactly: for a way of working that may not change them."""
    own = digests(record)
    is_same = bool(own) and None not in own and own == digests(base)
    return Shown(is_same, f"tokens {'equal' if is_same else 'differ from'} the baseline's")


def absent(name: str) -> Proof:
    """The engine says nothing of it: the feature is off."""

    def prove(record: TrialRecord, _: TrialRecord) -> Shown:
        value = record.engine.facts.get(name)
        return Shown(bool(record.engine.facts) and value is None, f"{name} {_short(value)}")

    return prove


def uncounted(name: str) -> Proof:
    """The engine doesn't even have the counter."""

    def prove(record: TrialRecord, _: TrialRecord) -> Shown:
        value = counted(record, name)
        return Shown(bool(timed(record)) and value is None, f"{name} {'not counted' if value is None else value}")

    return prove


def idle(record: TrialRecord, base: TrialRecord) -> Shown:
    """Nothing changed but what the configuration says: tokens, weights, KV space and backends are the baseline's."""
    names = ("weights_bytes", "kv_cache_tokens", "attention_backends_in_use")
    is_same = all(record.engine.facts.get(name) == base.engine.facts.get(name) for name in names)
    shown = same_tokens(record, base)
    text = f"{shown.text}; weights, KV space and backend {'too' if is_same else 'differ'}"
    return Shown(shown.is_shown and is_same, text)


def chunked(record: TrialRecord, _: TrialRecord) -> Shown:
    """Prompts longer than what the scheduler takes in a step were answered: they went in pieces."""
    budget = record.engine.facts.get("scheduler_max_num_scheduled_tokens")
    shortest = min((tokens for one in timed(record) for tokens in one.requests.input_tokens), default=0)
    is_on = record.engine.facts.get("enable_chunked_prefill") is True
    text = f"prompts of {shortest} tokens answered at scheduler_max_num_scheduled_tokens {budget}"
    return Shown(is_on and isinstance(budget, int) and 0 < budget < shortest, text)


def _short(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and value > 9999 else str(value)
