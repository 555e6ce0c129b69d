"""What a comparison found, in one plain sentence. Percent are for people; everything else has shares."""

from __future__ import annotations

from vbench.analysis.comparability import NLL
from vbench.analysis.comparison import Comparison
from vbench.analysis.gate import Gate
from vbench.analysis.paired import Ratio
from vbench.metrics import metric_of

_SPEEDS = ("output_throughput_tok_s", "total_token_throughput_tok_s", "request_throughput_req_s")
_ESTIMATES = {
    "signed_rank": "Hodges-Lehmann estimate with its exact signed-rank interval",
    "t": "Student's t",
}


def sentence(ratio: Ratio | None, metric: str, *, is_paired: bool = True) -> str:
    """`B is 3.1 % faster (95 %: 1.9 to 4.2)`, `B has 3.1 % lower p95 time to first token (…)`, or what wasn't shown.

    Shares are of A, so "2 % slower" is 0.98 of A's throughput. "Faster" is said of throughputs alone. A difference
    between what wasn't measured in turns says so, for it may be one of two starts of the engine.
    """
    if ratio is None:
        return f"{metric_name(metric)} has no ratio: a value is 0"
    change = _change(ratio.ratio, metric)
    if ratio.method == "single":
        if ratio.ratio == 1:
            return "the same single value on both sides: how sure that is can't be told"
        return f"B {change}, by a single value of a side: how sure that is can't be told"
    if ratio.is_clear:
        near, far = sorted((abs(ratio.low - 1), abs(ratio.high - 1)))
        turns = "" if is_paired else ", by passes that weren't measured in turns"
        return f"B {change} (95 %: {percent(near)} to {percent(far)}){turns}"
    if ratio.detectable is None:
        return "no difference shown"
    if ratio.detectable == 0:
        return "no difference: every value is the same"
    return f"no difference shown; this comparison could have seen {percent(ratio.detectable)} % or more"


def gate_sentence(found: Gate, metric: str) -> str:
    """What `--fail-if-slower` found."""
    loss = f"a loss of more than {percent(found.share)} % of {metric_name(metric)}"
    if found.decision == "slower":
        return f"{loss} is shown"
    if found.decision == "not_slower":
        return f"{loss} is excluded"
    if found.detectable is None:
        return f"{loss} can be neither shown nor excluded: there is no spread to go by"
    seen = percent(found.share + found.detectable)
    return f"{loss} is neither shown nor excluded; this comparison would have shown one of {seen} % or more"


def method_of(found: Comparison) -> str:
    """What the decisive metric's interval rests on."""
    ratio = found.ratio
    if ratio is None or ratio.method == "single":
        return "a single value of each side"
    if found.metric == NLL:
        return f"{ratio.num_pairs} texts, each against itself; {_ESTIMATES[ratio.method]}"
    if found.is_paired:
        return f"{ratio.num_pairs} pairs measured in turns; {_ESTIMATES[ratio.method]}"
    return f"at least {ratio.num_pairs} timed passes of each side; Welch's t of their logarithms"


def metric_name(metric: str) -> str:
    """`output throughput`, `p95 time to first token`."""
    if metric == NLL:
        return "NLL per token"
    declared = metric_of(metric)
    part = "" if declared.name == metric else f"{metric.partition('_')[0]} "
    label = declared.label
    return f"{part}{label if label[:2].isupper() else label[0].lower() + label[1:]}"


def percent(share: float) -> str:
    """A share in percent with one decimal, or two digits where that would be 0.0.

    >>> percent(0.0312), percent(0.00024), percent(0.0)
    ('3.1', '0.024', '0.0')
    """
    value = share * 100
    return f"{value:.2g}" if 0 < value < 0.05 else f"{value:.1f}"


def _change(ratio: float, metric: str) -> str:
    size = percent(abs(ratio - 1))
    if metric in _SPEEDS:
        return f"is {size} % {'faster' if ratio > 1 else 'slower'}"
    return f"has {size} % {'higher' if ratio > 1 else 'lower'} {metric_name(metric)}"
