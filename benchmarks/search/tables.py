"""The replay's results as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from benchmarks.search.measured import MEASUREMENTS, Measured
from benchmarks.search.methods import ABLATIONS, BY_NAME, COMPARED
from benchmarks.search.scores import CLOSE, SHARES, Interval, Searched, difference_interval, quantile_interval
from vbench.records.runs import read_json

Scores = Mapping[str, Sequence[Searched]]
_REGRET_AT = (0.05, 0.1, 0.15, 0.2, 0.25)


def text(measured: Measured, scores: Scores, noisy: Scores, noise: float, command: str) -> str:
    """The whole page."""
    compared = {one.name: scores[one.name] for one in COMPARED if one.name in scores}
    ablations = {one.name: scores[one.name] for one in ABLATIONS if one.name in scores}
    seeds = len(scores["default"])
    fewer = min(map(len, ablations.values()))
    lines = [
        "# Search methods, replayed on Space A",
        "",
        *_head(measured, seeds, command),
        "",
        "## Share of the grid's engine-seconds until within 2 % of the true best",
        "",
        *shares_table(compared),
        "",
        "*lost*: searches in which the best so far was further than 2 % away again later on (measured value higher, "
        "true value lower). *never*: searches that ended without getting there, counted as 100 %.",
        "",
        "Differences of the same percentile, over the same seeds (below 0: the default is sooner):",
        "",
        *differences_table(compared),
        "",
        "## Regret of the best so far, at equal engine-seconds",
        "",
        "![median regret over the share of the grid's engine-seconds](results.png)",
        "",
        *regret_table(compared),
        "",
        "## What each part is worth",
        "",
        f"The first {fewer} seeds of each.",
        "",
        *shares_table({name: scores[name][:fewer] for name in ("default", "tpe", "random", *ablations)}),
    ]  # fmt: skip
    if noisy:
        lines += [
            "",
            f"## With more noise: each pass longer or shorter by a log-normal factor of {noise:.0%}",
            "",
            "The values that a method sees are noisy, what it is scored by is the true value as above. "
            f"{len(noisy['default'])} seeds.",
            "",
            *shares_table(noisy),
        ]
    return "\n".join([*lines, "", *_reading(measured)]) + "\n"


def _head(measured: Measured, seeds: int, command: str) -> list[str]:
    facts = read_json(MEASUREMENTS.with_name("machine.json"))
    runnable = [cell for cell in measured.cells.values() if not cell.is_refused]
    close = sum(cell.value is not None and cell.value >= CLOSE * measured.best for cell in runnable)
    values = [cell.value for cell in runnable if cell.value is not None]
    return [
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, {seeds} seeds; measured with {facts['engine']} "
        f"{facts['engine_version']} ({facts['engine_platform']}), Python {facts['python_version']}, {facts['cpu']}, "
        f"{facts['cpus_allowed']} cores.",
        "",
        f"Space A (`space_a.yaml`, measured in `space_a/`): {len(measured.cells)} configurations, of which the "
        f"planner refuses {len(measured.cells) - len(runnable)}; {len(runnable)} were run, {measured.grid_s:.0f} "
        f"engine-seconds in all (whole trials, start to end, without the probe). True values from {min(values):.0f} to "
        f"{measured.best:.0f} tok/s; within 2 % of the best: {close}.",
    ]


def shares_table(scores: Scores) -> list[str]:
    """A row a method: median and 90th percentile of the share, with intervals; and what its trials were."""
    rows = [
        "| method | | median | 95 % interval | p90 | 95 % interval | lost | never | trials | stopped early | repeats |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, found in scores.items():
        shares = [one.share for one in found]
        median, p90 = quantile_interval(shares, 50), quantile_interval(shares, 90)
        rows.append(
            f"| {name} | {BY_NAME[name].what} | {median.value:.1%} | {_range(median)} | {p90.value:.1%} "
            f"| {_range(p90)} "
            f"| {_count(one.is_lost for one in found)} | {_count(not one.is_reached for one in found)} "
            f"| {_mean([one.started for one in found]):.0f} | {_mean([one.pruned for one in found]):.0f} "
            f"| {_mean([one.repeated for one in found]):.1f} |"
        )
    return rows


def differences_table(scores: Scores) -> list[str]:
    """The default against each of the others."""
    rows = ["| default − | median | 95 % interval | p90 | 95 % interval |", "|---|---|---|---|---|"]
    ours = [one.share for one in scores["default"]]
    for name, found in scores.items():
        if name == "default":
            continue
        theirs = [one.share for one in found]
        median, p90 = difference_interval(ours, theirs, 50), difference_interval(ours, theirs, 90)
        rows.append(f"| {name} | {_points(median.value)} | {_range(median, True)} | {_points(p90.value)} "
                    f"| {_range(p90, True)} |")  # fmt: skip
    return rows


def regret_table(scores: Scores) -> list[str]:
    """Median (90th percentile) of the regret after some shares of the grid's engine-seconds."""
    places = [SHARES.index(share) for share in _REGRET_AT]
    rows = [
        "| method | " + " | ".join(f"after {share:.0%}: median (p90)" for share in _REGRET_AT) + " |",
        "|---" * (1 + len(places)) + "|",
    ]
    for name, found in scores.items():
        curves = np.array([one.curve for one in found])
        cells = [f"{np.median(curves[:, i]):.1%} ({np.percentile(curves[:, i], 90):.1%})" for i in places]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


def _reading(measured: Measured) -> list[str]:
    starts = [cell.record.measurements.get("startup_s") for cell in measured.cells.values() if not cell.is_refused]
    start_s = float(np.median([one for one in starts if one is not None]))
    refused = sum(cell.is_refused for cell in measured.cells.values())
    spared = refused * start_s / measured.grid_s
    return [
        "How to read it:",
        "",
        "* Searcher, early stop and ranking are the product's own code; engine and clock are the records. A stopped "
        "trial costs what had passed until then and 0.05 s for ending it.",
        "* One measurement serves as what a method sees and, averaged over its passes, as the truth: fewer wrong turns "
        "than in life, for all methods alike. The table with noise shows how much that matters.",
        "* Plain methods and the grid don't make the probe and don't pay for it; what the engine compiles in its first "
        "pass (an n-gram draft: 1.2 s) is then paid in the warm-up. All methods have the planner: what it "
        f"refuses costs nothing here. Without one, each of the {refused} refused configurations costs at least a start "
        f"of the engine ({start_s:.1f} s forked, some 7 s cold): {spared:.1%} of the grid's engine-seconds if a method "
        "meets them all forked. It isn't in the tables above.",
        "* The import of the engine, once a sweep (some 7 s), is in no method's cost.",
        "* `tpe` and `tpe-plain` are both given so that the rival is whichever does better.",
    ]


def _range(interval: Interval, is_signed: bool = False) -> str:
    if is_signed:
        return f"{_points(interval.low)} to {_points(interval.high)}"
    return f"{interval.low:.1%} to {interval.high:.1%}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _count(found: Iterable[bool]) -> int:
    return sum(found)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
