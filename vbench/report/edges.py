"""Parameters whose best value is the last that was tried: what lies beyond it is not known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from vbench.analysis.effects import ParameterEffect
from vbench.analysis.loads import whole_load
from vbench.analysis.neighbours import Neighbour, is_same_setting
from vbench.records.record import TrialRecord
from vbench.report.text import show_ratio, show_value

# The machine ends these, or more of them is no lever: a longer context than needed brings nothing.
_NO_LEVERS = (
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "data_parallel_size",
    "replicas",
    "max_model_len",
    "seed",
)
_MIN_VALUES = 3
_MAX_STEP = 4
"""Of a series that goes by larger steps nothing says that the next is as large."""
_MAX_SHARE = 0.98
"""Of what is a share of a whole, as `gpu_memory_utilization`."""


def edge_sentences(best: TrialRecord, effects: Sequence[ParameterEffect], found: Sequence[Neighbour]) -> Iterator[str]:
    """Where a trial that differs in it alone shows that it still rose, with a value to try; then those with three
    values or more of which the best has the last, without that proof."""
    rising: list[str] = []
    open_ended: list[str] = []
    for effect in effects:
        place = _edge(best, effect)
        if place is None:
            continue
        is_top, value, inner, tried = place
        beyond = _beyond(value, inner, is_top=is_top)
        last = "highest" if is_top else "lowest"
        proof = _proof(inner, [one for one in found if one.parameter == effect.name])
        whole = whole_load(best, effect.name)
        if beyond is None or (is_top and whole is not None and value >= whole):  # all prompts run at once already
            continue
        if proof is not None:
            least = "at least " if proof.is_bound else ""
            rising.append(
                f"{effect.name} was still getting better at the {last} value tried, {show_value(value)}: {least}"
                f"{show_ratio(proof.ratio)} over {show_value(inner)}, all else the same (trial {proof.trial}). "
                f"Try {show_value(beyond)}."
            )
        elif len(tried) >= _MIN_VALUES:
            values = ", ".join(
                show_value(one) for one in (tried if len(tried) <= 6 else (*tried[:2], "…", *tried[-2:]))
            )
            open_ended.append(
                f"The best has the {last} {effect.name} that was tried ({values}): whether {show_value(beyond)} is "
                "better still was not tried."
            )
    yield from rising
    yield from open_ended


def _proof(inner: Any, found: Sequence[Neighbour]) -> Neighbour | None:
    """The trial with the value next to the best's, where it is clearly worse; None where one further away came closer:
    then it isn't the value that made the difference."""
    closest = min((one.ratio for one in found if not one.is_bound), default=None)
    nearest = next((one for one in found if one.is_clear and one.value == inner), None)
    if nearest is None or (closest is not None and closest < nearest.ratio):
        return None
    return nearest


def _edge(best: TrialRecord, effect: ParameterEffect) -> tuple[bool, Any, Any, list[Any]] | None:
    """Whether it is the top, the best's value, the one next to it, and all that were tried, failures among them."""
    tried = [one.value for one in effect.values]
    value = best.parameters.get(effect.name)
    if effect.name in _NO_LEVERS or not effect.is_numeric or len(tried) < 2 or value is None:
        return None
    if is_same_setting(value, tried[-1]):
        return True, tried[-1], tried[-2], tried
    if is_same_setting(value, tried[0]):
        return False, tried[0], tried[1], tried
    return None


def _beyond(value: float, inner: float, *, is_top: bool) -> float | None:
    """The next value in the series of the last two, by ratio where one is a multiple of the other; None where there can
    be none."""
    small, large = min(value, inner), max(value, inner)
    are_whole = isinstance(value, int) and isinstance(inner, int)
    if are_whole and small > 0 and large % small == 0:
        ratio = min(int(large) // int(small), _MAX_STEP)
        beyond: float = value * ratio if is_top else value // ratio
        return beyond if beyond >= 1 and beyond != value else None
    beyond = round(value + (value - inner), 6)
    if beyond <= 0 or (0 < large <= 1 and not are_whole and beyond > _MAX_SHARE):
        return None
    return beyond
