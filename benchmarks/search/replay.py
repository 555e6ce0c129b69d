"""Search methods replayed on Space A, which was measured exhaustively: how soon does each name a configuration within
2 % of the true best?

    .venv/bin/python -m benchmarks.search.replay [--seeds 100] [--processes 2] [--noise 0.02] [--only NAME …]

Writes `benchmarks/search/results.md` and `results.png` (with `--only`, it prints the table instead). The last line
printed is one JSON object: for each method the median and 90th percentile over seeds of the share of the grid's
engine-seconds that it spent until then.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

from benchmarks.search import tables
from benchmarks.search.measured import HERE, Measured, read_measured
from benchmarks.search.methods import ABLATIONS, BY_NAME, COMPARED
from benchmarks.search.scores import CLOSE, SHARES, Searched, searched, summary
from benchmarks.search.simulate import Simulation

TRIALS = 128
"""As many as can run, so that no search is cut short by its budget."""
IN_SUMMARY = ("default", "tpe", "random", "grid")
_SHORT = 0.1
"""Of what has no curve drawn."""
NOISY = ("default", "tpe", "tpe-plain", "random")
Task = tuple[str, int, float, float]
Scores = dict[str, list[Searched]]


@cache
def _measured() -> Measured:
    return read_measured()


def search_once(task: Task) -> Searched:
    """One method, one seed; it goes on to that share of the grid's engine-seconds, or until it got there."""
    name, seed, noise, until = task
    measured = _measured()
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's, of what is experimental
        simulation = Simulation(measured, BY_NAME[name], seed, trials=TRIALS, noise=noise)
        trace = simulation.run(until * measured.grid_s, CLOSE * measured.best)
    return searched(
        trace, seed, best=measured.best, grid_s=measured.grid_s, shares=SHARES, wall_s=time.perf_counter() - start
    )


def search_all(
    names: Sequence[str], seeds: int, processes: int, noise: float = 0.0, until: float = SHARES[-1]
) -> Scores:
    """Every method with every seed; a method without one is played once and stands for all."""
    tasks = [
        (name, seed, noise, until) for name in names for seed in range(seeds if BY_NAME[name].is_seeded or noise else 1)
    ]
    if processes > 1:
        with ProcessPoolExecutor(processes) as pool:
            found = list(pool.map(search_once, tasks, chunksize=4))
    else:
        found = [search_once(task) for task in tasks]
    scores: Scores = {name: [] for name in names}
    for (name, *_), one in zip(tasks, found, strict=True):
        scores[name] += [one] if BY_NAME[name].is_seeded or noise else [one] * seeds
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--fewer", type=int, default=20, help="seeds of the ablations and of the table with noise")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--noise", type=float, default=0.02, help="of each pass, in the table of robustness; 0: none")
    parser.add_argument("--only", nargs="+", choices=[*BY_NAME], help="these methods, printed and not written")
    arguments = parser.parse_args()
    start = time.monotonic()
    if arguments.only:
        scores = search_all(arguments.only, arguments.seeds, arguments.processes)
        print("\n".join(tables.shares_table(scores)))
    else:
        fewer = min(arguments.fewer, arguments.seeds)
        scores = search_all([one.name for one in COMPARED], arguments.seeds, arguments.processes)
        scores |= search_all([one.name for one in ABLATIONS], fewer, arguments.processes, until=_SHORT)
        noisy = {}
        if arguments.noise:
            noisy = search_all(NOISY, fewer, arguments.processes, arguments.noise, until=_SHORT)
        _write(tables.text(_measured(), scores, noisy, arguments.noise, _command()), scores, HERE)
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    print(json.dumps({name: summary(scores[name]) for name in IN_SUMMARY if name in scores}))


def _write(text: str, scores: Scores, folder: Path) -> None:
    from benchmarks.search.plot import draw

    (folder / "results.md").write_text(text, encoding="utf-8")
    draw(scores, SHARES, folder / "results.png")
    print(text)


def _command() -> str:
    return " ".join(["python -m benchmarks.search.replay", *sys.argv[1:]])


if __name__ == "__main__":
    main()
