"""Whether the work of the timed passes was what was asked, and what to say where it wasn't."""

from __future__ import annotations

from collections.abc import Sequence

from vbench.pass_counts import num_early_stops, num_truncated_prompts
from vbench.records.record import Pass


def work_warnings(timed: Sequence[Pass], asked: Sequence[int] | None) -> list[str]:
    """What of the timed passes' work isn't what was asked, each with advice. `asked`: the exact output tokens of each
    prompt, of all its answers together; None where each runs until it stops."""
    warnings = [] if asked is None else _lengths(timed, asked)
    cut = sum(num_truncated_prompts(one) or 0 for one in timed)
    total = sum(len(one.requests.output_tokens) for one in timed)
    if cut:
        warnings.append(
            f"{cut} of {total} prompts were cut before the engine answered them: take truncate_prompt_tokens out of "
            "sampling, or shorten them; throughputs of such trials don't compare"
        )
    differing = _differing_inputs(timed)
    if differing:
        warnings.append(
            f"{differing} of {len(timed[0].requests.input_tokens)} prompts had other numbers of tokens in some timed "
            "passes than in the first: passes of such a trial don't do the same work"
        )
    return warnings


def _lengths(timed: Sequence[Pass], asked: Sequence[int]) -> list[str]:
    pairs = [pair for one in timed for pair in zip(one.requests.output_tokens, asked, strict=False)]
    wrong = sum(tokens != wanted for tokens, wanted in pairs)
    stops = sum(num_early_stops(one) or 0 for one in timed)
    if not wrong:
        return []
    length = f"the {asked[0]} tokens" if len(set(asked)) == 1 else "the tokens"
    why = "max_model_len leaves too little room"
    if stops:
        each = "they" if stops >= wrong else f"{stops} of them"
        why = f"{each} ended at a stop: take stop strings and stop tokens out of sampling, or measure with until_stop"
    return [
        f"{wrong} of {len(pairs)} requests didn't generate {length} asked for: {why}; throughputs of such trials don't "
        "compare"
    ]


def _differing_inputs(timed: Sequence[Pass]) -> int:
    columns = [one.requests.input_tokens for one in timed]
    return sum(len(set(numbers)) > 1 for numbers in zip(*columns, strict=False))
