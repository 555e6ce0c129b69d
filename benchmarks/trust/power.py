"""Power: an engine that is slower by a known share. How often does the tool find it, with the pairs that it asks for?

    .venv/bin/python -m benchmarks.trust.power [--runs 40] [--fresh]

B's passes are made longer by 3 % and 5 % (the worker sleeps that share of each), and the tool is asked for changes of
that size (`detect`). It promises 80 %. `--fresh` starts an engine for every value, as `vbench compare --again` does.
The last line is one JSON object.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.search.machine import measured_with
from benchmarks.trust.comparisons import asked_of, compare_often, engine_for, share_interval
from benchmarks.trust.pages import Figures, finish, parser_of, table
from vbench.analysis.paired import Ratio

SHARES = (0.03, 0.05)
PASSES = 5
"""A value on a kept engine: a single pass of a twentieth of a second differs from the next by more than is sought."""
Found = Mapping[float, Sequence[Ratio]]


def measure(runs: int = 40, is_fresh: bool = False, most: int = 60) -> tuple[Found, Figures]:
    """By share the comparisons, and the figures."""
    with tempfile.TemporaryDirectory(prefix="vbench-power-") as name, engine_for(Path(name)) as engine:
        found = {share: compare_often(engine, asked_of(is_fresh, share, most, PASSES), runs, share) for share in SHARES}
    return found, figures(found)


def figures(found: Found) -> Figures:
    """By share (`slower_3`, in percent): runs, in how many B was found to be slower, and that as a share, with 95 %."""
    counted: Figures = {}
    for share, ratios in found.items():
        clear = sum(one.is_clear and one.ratio < 1 for one in ratios)
        low, high = share_interval(clear, len(ratios))
        counted[f"slower_{share * 100:g}"] = {
            "runs": len(ratios),
            "found": clear,
            "share": round(clear / len(ratios), 4),
            "low": round(low, 4),
            "high": round(high, 4),
            "median_pairs": statistics.median(one.num_pairs for one in ratios),
            "median_ratio": round(statistics.median(one.ratio for one in ratios), 4),
        }
    return counted


def page(found: Found, counted: Figures, command: str, is_fresh: bool, most: int) -> list[str]:
    """The table."""
    rows = []
    for share, one in zip(found, counted.values(), strict=True):
        sizes = [ratio.num_pairs for ratio in found[share]]
        rows.append(
            (
                f"{share:.0%}", f"{1 / (1 + share):.4f}", f"{one['median_ratio']:.4f}",
                f"{one['median_pairs']:g} ({min(sizes)} to {max(sizes)})", f"{one['found']} of {one['runs']}",
                f"{one['share']:.0%} ({one['low']:.0%} to {one['high']:.0%})",
            )
        )  # fmt: skip
    engine = "a fresh engine, forked for each value" if is_fresh else "one engine kept for all values"
    return [
        "# A known slowness found",
        "",
        measured_with("vllm", command),
        "",
        f"Model tiny/base, real vLLM; a value is the median of {3 if is_fresh else PASSES} passes; B's passes last "
        f"longer by a share, and the tool is to detect that share: it asks for pairs until "
        f"it would ({most} at most); {engine}.",
        "",
        *table(
            ("B slower by", "true B ÷ A", "median estimate", "pairs asked for", "found", "share (95 %)"), rows
        ),
    ]  # fmt: skip


def main() -> None:
    parser = parser_of(__doc__, "power")
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--most", type=int, default=60)
    parser.add_argument("--fresh", action="store_true", help="an engine for every value")
    given = parser.parse_args()
    found, counted = measure(given.runs, given.fresh, given.most)
    command = f"python -m benchmarks.trust.power --runs {given.runs} --most {given.most}" + (
        " --fresh" if given.fresh else ""
    )
    lines = page(found, counted, command, given.fresh, given.most)
    finish(given.out, lines, {"power_fresh" if given.fresh else "power": counted})


if __name__ == "__main__":
    main()
