"""A/A: comparisons of a configuration with itself. How often does the tool call a difference that isn't there?

    .venv/bin/python -m benchmarks.trust.aa [--comparisons 200] [--fresh]

It should in 5 % of them. `--fresh` starts an engine for every value, as `vbench compare --again` does, and takes more
than an hour; without it one engine is kept. The last line is one JSON object.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.search.machine import measured_with
from benchmarks.trust.comparisons import Asked, asked_of, compare_often, engine_for, share_interval
from benchmarks.trust.pages import Figures, finish, parser_of, table
from vbench.analysis.paired import Ratio


def measure(comparisons: int = 200, asked: Asked | None = None) -> tuple[list[Ratio], Figures]:
    """The comparisons and the figures."""
    with tempfile.TemporaryDirectory(prefix="vbench-aa-") as name, engine_for(Path(name)) as engine:
        found = compare_often(engine, asked or Asked(), comparisons)
    return found, figures(found)


def figures(found: Sequence[Ratio]) -> Figures:
    """How many of them called a difference, and the share with its 95 % interval."""
    called = sum(one.is_clear for one in found)
    low, high = share_interval(called, len(found))
    return {
        "comparisons": len(found),
        "called": called,
        "share": round(called / len(found), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "median_pairs": statistics.median(one.num_pairs for one in found),
    }


def page(found: Sequence[Ratio], counted: Figures, command: str, asked: Asked) -> list[str]:
    """The table: by the number of pairs that the tool asked for."""
    rows = []
    for pairs in sorted({one.num_pairs for one in found}):
        some = [one for one in found if one.num_pairs == pairs]
        widths = statistics.median((one.high - one.low) / 2 for one in some)
        rows.append((pairs, len(some), sum(one.is_clear for one in some), f"±{widths:.2%}"))
    worst = max(found, key=lambda one: abs(one.ratio - 1))
    return [
        "# A configuration compared with itself",
        "",
        measured_with("vllm", command),
        "",
        f"Model tiny/base, real vLLM; {asked.in_words()}.",
        "",
        f"A difference was called in **{counted['called']} of {counted['comparisons']}** comparisons, "
        f"{counted['share']:.1%} (95 %: {counted['low']:.1%} to {counted['high']:.1%}); 5 % is what 95 % intervals "
        f"promise. The estimate furthest from 1 was {worst.ratio:.3f}.",
        "",
        *table(("pairs asked for", "comparisons", "called", "median half-width of the interval"), rows),
    ]


def main() -> None:
    parser = parser_of(__doc__, "aa")
    parser.add_argument("--comparisons", type=int, default=200)
    parser.add_argument("--detect", type=float, default=0.03)
    parser.add_argument("--most", type=int, default=12)
    parser.add_argument("--fresh", action="store_true", help="an engine for every value")
    given = parser.parse_args()
    asked = asked_of(given.fresh, given.detect, given.most)
    found, counted = measure(given.comparisons, asked)
    command = (
        f"python -m benchmarks.trust.aa --comparisons {given.comparisons} --detect {given.detect:g} --most {given.most}"
    )
    command += " --fresh" if given.fresh else ""
    finish(given.out, page(found, counted, command, asked), {"aa_fresh" if given.fresh else "aa": counted})


if __name__ == "__main__":
    main()
