"""Whether a pass profits from earlier ones through the prefix cache: the measured hit rate of each, and what to say.

What prompts of one pass share with each other is the setting's real effect, and is found in a cold cache too. So each
timed pass is held against the trial's first whole pass. That one is cold where the cache was reset before it, or where
the engine is the trial's own; of a reused engine whose cache was kept no pass is known to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vbench.pass_counts import pass_hit_rate
from vbench.records.record import Pass

if TYPE_CHECKING:
    from vbench.execution.runner import RawTrial

MATERIAL = 0.05
"""A hit rate so much above the cold one's is told of: which blocks are evicted moves it a little between passes."""
_ADVICE = "set enable_prefix_caching: false or measure.reset_prefix_cache: true"
_KEPT = ("kept", "refused", "unsupported")


def cache_warnings(raw: RawTrial, passes: Sequence[Pass]) -> list[str]:
    """What of the prefix cache makes the timed passes' numbers others than they seem, each with advice."""
    whole = [(one, rate) for one in passes if one.kind != "probe" and (rate := pass_hit_rate(one)) is not None]
    timed = [(one, rate) for one, rate in whole if one.kind == "timed"]
    states = [str(message.get("prefix_cache")) for message in raw.of("pass")]
    facts: dict[str, Any] = next((message.get("facts", {}) for message in raw.of("engine")), {})
    is_on = facts.get("enable_prefix_caching")
    warnings = _failed_resets(states, is_on)
    if is_on is False:
        return warnings + _hits_while_off(timed)
    if not timed:
        return warnings
    latest, highest = max(timed, key=lambda pair: pair[1])
    first, cold = whole[0]
    if highest > cold + MATERIAL:
        warnings.append(
            f"pass {latest.index + 1} found {highest:.0%} of its prompt tokens in the prefix cache, the first "
            f"{'warm-up ' if first.kind == 'warmup' else ''}pass {cold:.0%}: it profits from earlier passes, and its "
            f"throughput isn't a cold one's; {_ADVICE}"
        )
    elif raw.how == "reused" and highest > 0 and states and states[0] in _KEPT:
        warnings.append(
            f"timed passes found up to {highest:.0%} of their prompt tokens in the prefix cache, which an earlier "
            f"trial of this engine may have filled: it wasn't reset; {_ADVICE}"
        )
    return warnings + _duplicates(raw) if highest > 0 else warnings


def _duplicates(raw: RawTrial) -> list[str]:
    count = next((message.get("num_duplicates") for message in raw.of("settled")), None)
    if not isinstance(count, int) or count <= 0:
        return []
    return [
        f"{count} prompts are the same as others of the set: each is found in the prefix cache within a pass too, as "
        "no set of different prompts would be; leave them out (`vbench prompts` counts them)"
    ]


def _failed_resets(states: Sequence[str], is_on: object) -> list[str]:
    """A cache that is off needs no reset, so only a refusal is told of then: it isn't what an idle engine does."""
    refused, unsupported = states.count("refused"), states.count("unsupported")
    if refused:
        effect = "nothing is cached, but a request may still be running" if is_on is False else _may_hit("refused")
        return [f"the engine refused to reset its prefix cache before {refused} of {len(states)} passes: {effect}"]
    if unsupported and is_on:
        return [f"this version of the engine can't reset its prefix cache: {_may_hit('unsupported')}"]
    return []


def _may_hit(state: str) -> str:
    advice = "set enable_prefix_caching: false" + (", or use a newer version" if state == "unsupported" else "")
    return f"passes may profit from earlier ones; {advice}"


def _hits_while_off(timed: Sequence[tuple[Pass, float]]) -> list[str]:
    highest = max((rate for _, rate in timed), default=0.0)
    if highest <= 0:
        return []
    return [
        f"prefix caching is off, yet {highest:.1%} of a timed pass's prompt tokens were found in the prefix cache: its "
        "throughput isn't that of a cold test; check what the engine does with enable_prefix_caching, and report it"
    ]
