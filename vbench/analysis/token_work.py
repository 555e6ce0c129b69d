"""What a trial's timed passes had to do, counted in tokens: the ground of `roofline`'s estimates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vbench.metrics import value_of
from vbench.records.record import Pass, TrialRecord
from vbench.spec.calling import num_answers

_MOST_GUESSED = 16
"""Tokens that speculation may have got by one step where nothing says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWork:
    """What the timed passes had to do."""

    prompt: float
    """Prompt tokens that were computed: those from the prefix cache weren't."""
    output: int
    decoded: float
    """Output tokens that went through the model in their turn: all but each answer's last."""
    pairs: dict[int | None, float]
    """Query-key pairs in one layer, by sliding window, over prompts and outputs."""
    read: dict[int | None, float]
    """Of these, the ones for which a decode step read the key and value from memory."""
    longest: float
    """Sum over passes of the longest answer's tokens: no pass has fewer decode steps."""
    duration_s: float


def token_work(record: TrialRecord, timed: Sequence[Pass], windows: Iterable[int | None]) -> TokenWork:
    """Count; answers of one request share its tokens evenly."""
    answers = num_answers(record.config) or 1
    hits = value_of(record.measurements, "prefix_cache_hit_rate") or 0.0
    prompt, output, decoded, longest = 0, 0, 0.0, 0.0
    pairs = dict.fromkeys(windows, 0.0)
    read = dict.fromkeys(windows, 0.0)
    for one in timed:
        inputs, outputs = one.requests.input_tokens, one.requests.output_tokens
        prompt += sum(inputs)
        output += sum(outputs)
        decoded += sum(max(0.0, count - answers) for count in outputs)
        longest += max(outputs, default=0) / answers
        for window in pairs:
            for n_in, n_out in zip(inputs, outputs, strict=False):
                looked_at = answers * _sum_of_contexts(n_in, n_in + max(0.0, n_out / answers - 1), window)
                pairs[window] += looked_at + (1 - hits) * _sum_of_contexts(0, n_in, window)
                read[window] += looked_at
    return TokenWork(
        prompt=prompt * (1 - hits),
        output=output,
        decoded=decoded,
        pairs=pairs,
        read=read,
        longest=longest,
        duration_s=sum(one.duration_s for one in timed),
    )


def _sum_of_contexts(first: float, last: float, window: int | None) -> float:
    """How many keys the tokens first + 1 to last look at together: each all before it and itself, up to its window.

    >>> _sum_of_contexts(0, 4, None), _sum_of_contexts(2, 4, None), _sum_of_contexts(0, 4, 2)
    (10.0, 7.0, 7.0)
    """

    def up_to(count: float) -> float:
        within = count if window is None else min(count, window)
        return within * (within + 1) / 2 + (count - within) * (window or 0)

    return up_to(last) - up_to(first)


def accepted_at_once(record: TrialRecord) -> float:
    """Tokens a request may get by one step: 1; under speculation the mean acceptance length, or the most there can be
    where it wasn't measured."""
    speculative = record.config.get("speculative_config")
    if not speculative:
        return 1.0
    measured = value_of(record.measurements, "mean_acceptance_length")
    if measured is not None:
        return max(1.0, measured)
    count = speculative.get("num_speculative_tokens") if isinstance(speculative, Mapping) else None
    return float(count + 1) if isinstance(count, int) and count > 0 else float(_MOST_GUESSED)


def has_drawn_lengths(record: TrialRecord) -> bool | None:
    """Whether exact lengths differ from prompt to prompt, so that `prompt_set.output_tokens` is the most of them; None
    where no pass says it."""
    asked = next((one.requests.asked_tokens for one in record.passes), None)
    return None if asked is None else isinstance(asked, list) and len(set(asked)) > 1
