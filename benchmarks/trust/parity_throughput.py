"""vbench beside vLLM's own `vllm bench throughput`: the same model, prompts, lengths, arguments and environment.

    .venv/bin/python -m benchmarks.trust.parity_throughput [--same-pairs 40] [--pairs 16] [--cold-pairs 3]

Sides in turns (ABBA), three ways:

* same: on one engine (`one_engine`), vbench's pass, its memory sampled meanwhile, and `_run_vllm_requests`, the timed
  function of `bench throughput`: what vbench adds to a pass, and nothing of how two starts differ;
* forked: each value is an engine of its own with one warm-up pass over all prompts and one timed pass: vbench's trial,
  forked from its keeper and watched as always (pipe, deadlines, memory sampler), and `vllm.benchmarks.throughput.main`,
  forked from a process that has imported it and nothing else;
* cold (fewer pairs, as a check): vbench's cold trial, and the command `vllm bench throughput`.

Both count tokens by the engine's own outputs, and must have counted the same. The last line is one JSON object.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from benchmarks.search.machine import measured_with
from benchmarks.trust.engine import ENGINE_ARGS, ROOT, Engine, How, Ran, demo_prompts
from benchmarks.trust.pages import Figures, as_dict, finish, in_words, parser_of, table
from benchmarks.trust.vllm_tools import (
    OneEngine,
    Runner,
    Zygote,
    command,
    throughput_result,
    throughput_words,
    write_sharegpt,
)
from vbench.analysis.paired import first_of_pair, ratio_of_pairs

MODEL = ROOT / "models" / "demo" / "base"
# vLLM's bench samples at temperature 1 and offers nothing else.
SAMPLING = {"temperature": 1.0, "top_p": 1.0}
Way = Literal["same", "fork", "cold"]
Row = tuple[Way, float, float]


class Sides:
    """Both tools on the same work."""

    def __init__(self, folder: Path, num_prompts: int, num_tokens: int) -> None:
        self._folder, self._count = folder, 0
        self.prompts, self.num_tokens = demo_prompts(num_prompts), num_tokens
        self._dataset = folder / "sharegpt.json"
        write_sharegpt([one["prompt"] for one in self.prompts], self._dataset)

    def pairs(self, how: How, count: int, run: Runner) -> list[Row]:
        """`count` pairs of (vLLM's, vbench's) tok/s."""
        rows: list[Row] = []
        with Engine(self._folder, MODEL, self.prompts, self.num_tokens, preload=how == "fork") as engine:
            ways: dict[str, Callable[[], float]] = {
                "A": lambda: self.by_vllm(run),
                "B": lambda: self.by_vbench(engine, how),
            }
            for index in range(count):
                order = ("A", "B") if first_of_pair(index) == "A" else ("B", "A")
                found = {side: ways[side]() for side in order}
                rows.append((how, found["A"], found["B"]))
                print(f"{how} pair {index}: {found['B'] / found['A']:.4f}", flush=True)
        return rows

    def same_engine(self, count: int) -> list[Row]:
        """As `pairs`, on one engine."""
        rows: list[Row] = []
        words = throughput_words(
            MODEL, self._dataset, len(self.prompts), self.num_tokens, ENGINE_ARGS, self._folder / "unused.json"
        )
        with OneEngine(self._folder, MODEL, self.prompts, self.num_tokens, SAMPLING, words) as engine:
            ways = {"A": engine.vllm, "B": engine.vbench}
            for index in range(count):
                order = ("A", "B") if first_of_pair(index) == "A" else ("B", "A")
                answers = {side: ways[side]() for side in order}
                for who, side in (("vLLM", "A"), ("vbench", "B")):
                    self._check(who, int(answers[side]["input_tokens"]), int(answers[side]["output_tokens"]))
                rows.append(("same", answers["A"]["tok_s"], answers["B"]["tok_s"]))
                print(f"same pair {index}: {rows[-1][2] / rows[-1][1]:.4f}", flush=True)
        return rows

    def by_vbench(self, engine: Engine, how: How) -> float:
        """tok/s of a trial."""
        ran = engine.fresh(how, sampling=SAMPLING)
        self._check("vbench", *_counted(ran))
        return ran.tok_s

    def by_vllm(self, run: Runner) -> float:
        """tok/s of a run of vLLM's tool."""
        self._count += 1
        log, result = (self._folder / f"theirs-{self._count}.{end}" for end in ("log", "json"))
        words = throughput_words(MODEL, self._dataset, len(self.prompts), self.num_tokens, ENGINE_ARGS, result)
        run("throughput", words, log)
        found = throughput_result(result, log)
        self._check("vLLM", int(found["prompt_tokens"]), int(found["output_tokens"]))
        return found["tok_s"]

    def _check(self, who: str, prompt_tokens: int, output_tokens: int) -> None:
        """Both must have the same work: the first to come says how much it is."""
        self.prompt_tokens = getattr(self, "prompt_tokens", prompt_tokens)
        wanted = (self.prompt_tokens, len(self.prompts) * self.num_tokens)
        if (prompt_tokens, output_tokens) != wanted:
            raise SystemExit(f"{who} had {prompt_tokens} prompt and {output_tokens} output tokens, not {wanted}")


def _counted(ran: Ran) -> tuple[int, int]:
    last = ran.passes[-1].requests
    return sum(last.input_tokens), sum(last.output_tokens)


def figures(rows: list[Row]) -> Figures:
    """vbench ÷ vLLM on the same engine; forked and cold under keys of their own."""
    found: Figures = {}
    for how, key in (("same", "same"), ("fork", "forked"), ("cold", "cold")):
        pairs = [(theirs, ours) for one, theirs, ours in rows if one == how]
        if pairs:
            found[key] = as_dict(ratio_of_pairs(pairs), len(pairs))
    return {**found.pop("same", {}), **found}


def measure(
    same_pairs: int = 40, pairs: int = 16, cold_pairs: int = 3, num_prompts: int = 32, num_tokens: int = 64
) -> tuple[Any, Figures]:
    """Rows and figures."""
    with tempfile.TemporaryDirectory(prefix="vbench-parity-") as name:
        sides = Sides(Path(name), num_prompts, num_tokens)
        rows = sides.same_engine(same_pairs)
        if pairs:
            with Zygote(Path(name)) as zygote:
                rows += sides.pairs("fork", pairs, zygote)
        if cold_pairs:
            rows += sides.pairs("cold", cold_pairs, command)
    return (rows, sides), figures(rows)


def page(measured: Any, found: Figures, command_line: str) -> list[str]:
    """The table."""
    rows, sides = measured
    lines = [
        "# vbench beside `vllm bench throughput`",
        "",
        measured_with("vllm", command_line),
        "",
        f"Output tokens per second; model demo/base, {len(sides.prompts)} prompts ({sides.prompt_tokens} tokens), "
        f"{sides.num_tokens} tokens each, temperature 1, no prefix cache; the same numbers of tokens counted on both "
        "sides. Both time from before `LLM.generate` to after it; vLLM's draws a progress bar meanwhile, vbench's "
        "makes its columns of counts and latencies before the clock stops.",
        "",
        "*same*: on one engine, vbench's pass with its memory sampled, and vLLM's own timed function. *fork*: each "
        "value an engine of its own, a warm-up pass over all prompts and one timed pass, both forked from a process "
        "that has imported vLLM; how two starts differ is in the interval. *cold*: a cold trial, and the command.",
        "",
        "vbench ÷ vLLM: "
        + "; ".join(
            f"{name} **{in_words(one)}**, {one['pairs']} pairs"
            for name, one in (
                ("same", found if "ratio" in found else None),
                ("fork", found.get("forked")),
                ("cold", found.get("cold")),
            )
            if one is not None
        )
        + ".",
        "",
        *table(
            ("pair", "started", "vLLM tok/s", "vbench tok/s", "ratio"),
            [
                (index, how, f"{theirs:.1f}", f"{ours:.1f}", f"{ours / theirs:.4f}")
                for index, (how, theirs, ours) in enumerate(rows)
            ],
        ),
    ]
    return lines


def main() -> None:
    parser = parser_of(__doc__, "parity_throughput")
    parser.add_argument("--same-pairs", type=int, default=40)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--cold-pairs", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    given = parser.parse_args()
    measured, found = measure(given.same_pairs, given.pairs, given.cold_pairs, given.prompts, given.tokens)
    line = (
        f"python -m benchmarks.trust.parity_throughput --same-pairs {given.same_pairs} --pairs {given.pairs} "
        f"--cold-pairs {given.cold_pairs} --prompts {given.prompts} --tokens {given.tokens}"
    )
    finish(given.out, page(measured, found, line), {"parity_throughput": found})


if __name__ == "__main__":
    main()
