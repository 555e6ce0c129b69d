"""vbench's client beside `vllm bench serve`, on one running server, with the same requests at the same times.

    .venv/bin/python -m benchmarks.trust.parity_serve [--pairs 10] [--prompts 32] [--tokens 48] [--rate 6]

vbench's server engine starts the server. In turns (ABBA) vbench's client (`VllmServer.generate`, as in a trial) and
`vllm.benchmarks.serve.main`, forked from a process that has imported it, send it the same prompts: all at once with
`--concurrency` in flight, and at Poisson times that both have alike. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.search.machine import measured_with
from benchmarks.trust.engine import ENGINE_ARGS, ENVIRONMENT, ROOT, demo_prompts
from benchmarks.trust.pages import Figures, as_dict, finish, in_words, parser_of, table
from benchmarks.trust.vllm_tools import Zygote, arrivals_of, serve_words, write_custom
from vbench.analysis.paired import first_of_pair, ratio_of_pairs
from vbench.worker.engines.base import PassResult, Work
from vbench.worker.engines.vllm_server import VllmServer

MODEL = ROOT / "models" / "demo" / "base"
LATENCIES = ("ttft", "tpot", "itl")
COMPARED = ("throughput", *LATENCIES, *(f"mean_{name}" for name in LATENCIES))
Seen = dict[str, float]
Loads = dict[str, dict[str, Any]]


class Clients:
    """One server, and both clients of it. Use as a context manager."""

    def __init__(self, folder: Path, zygote: Zygote, num_prompts: int, num_tokens: int) -> None:
        self._folder, self._zygote, self.num_tokens = folder, zygote, num_tokens
        prompts = demo_prompts(num_prompts)
        self._dataset = folder / "custom.jsonl"
        write_custom([one["prompt"] for one in prompts], self._dataset)
        self._engine = VllmServer()
        try:
            with _output_to(folder / "server.log"):
                self._engine.load(str(MODEL), ENGINE_ARGS, is_forked=False)
            self._prompts = self._engine.prepare(prompts)
            self._work = Work({"output_tokens": num_tokens})
            self._engine.generate(self._prompts, self._work)  # warm, and requests written down, as before timed passes
            gc.collect()
            gc.freeze()  # as a trial does; so does `bench serve`
        except BaseException:
            self._engine.close()
            raise

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()

    def by_vbench(self, load: Mapping[str, Any]) -> Seen:
        """A pass, timed as a trial times it."""
        self._work.arrivals_s = arrivals_of(len(self._prompts), load)
        self._work.max_concurrency = load["max_concurrency"]
        start = time.monotonic()
        result = self._engine.generate(self._prompts, self._work)
        return seen_by_vbench(result, time.monotonic() - start)

    def by_vllm(self, load: Mapping[str, Any]) -> Seen:
        """A run of `bench serve`, by what it saves."""
        assert self._engine._server is not None
        server, result, log = self._engine._server, self._folder / "serve.json", self._folder / "serve.log"
        result.unlink(missing_ok=True)
        words = serve_words(
            MODEL, self._dataset, len(self._prompts), self.num_tokens, server.port, server.key, result, load
        )
        self._zygote("serve", words, log)
        saved = json.loads(result.read_bytes())
        if saved["completed"] != len(self._prompts):
            raise SystemExit(f"bench serve completed {saved['completed']} requests of {len(self._prompts)}")
        return seen_by_vllm(saved)


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """What is started meanwhile says all it ever says into the log: a server inherits where our output goes."""
    sys.stdout.flush()
    kept = [os.dup(1), os.dup(2)]
    with log.open("wb") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        for number, fd in zip((1, 2), kept, strict=True):
            os.dup2(fd, number)
            os.close(fd)


def seen_by_vbench(result: PassResult, duration_s: float) -> Seen:
    """The compared figures of a pass, seconds and tok/s, by the definitions of `vbench.metrics`."""
    columns = {
        "ttft": result.ttft_s,
        "tpot": result.tpot_s,
        "itl": [gap for gaps in result.itl_s or () for gap in gaps],
    }
    tokens = sum(len(ids) for ids in result.token_ids)
    seen = {"throughput": tokens / duration_s, "tokens": float(tokens), "last_send": max(result.send_s or (0.0,))}
    for name, column in columns.items():
        values = [one for one in column or () if one is not None]
        seen |= {name: statistics.median(values), f"mean_{name}": statistics.fmean(values)}
    seen["num_gaps"] = float(len(columns["itl"] or ()))
    return seen


def seen_by_vllm(saved: Mapping[str, Any]) -> Seen:
    """The same of a result that `bench serve` saved with its details."""
    starts = saved["start_times"]
    seen = {
        "throughput": saved["output_throughput"], "tokens": float(saved["total_output_tokens"]),
        "last_send": max(starts) - min(starts), "num_gaps": float(sum(map(len, saved["itls"]))),
    }  # fmt: skip
    for name in LATENCIES:
        seen |= {name: saved[f"median_{name}_ms"] / 1000, f"mean_{name}": saved[f"mean_{name}_ms"] / 1000}
    return seen


def loads_of(concurrency: int, rate: float) -> Loads:
    """By name: all at once with so many in flight, and Poisson arrivals."""
    return {
        "at_once": {"request_rate": "inf", "max_concurrency": concurrency},
        "poisson": {"request_rate": rate, "max_concurrency": None},
    }


def measure(
    pairs: int = 10, num_prompts: int = 32, num_tokens: int = 48, concurrency: int = 16, rate: float = 6.0
) -> tuple[dict[str, list[tuple[Seen, Seen]]], Figures]:
    """By load the pairs (vLLM's, vbench's), and the figures."""
    found: dict[str, list[tuple[Seen, Seen]]] = {}
    os.environ.update(ENVIRONMENT)  # the server's, too
    with (
        tempfile.TemporaryDirectory(prefix="vbench-serve-") as name,
        Zygote(Path(name)) as zygote,
        Clients(Path(name), zygote, num_prompts, num_tokens) as clients,
    ):
        for load_name, load in loads_of(concurrency, rate).items():
            clients.by_vllm({**load, "seed": pairs})  # not counted: its first run reads its files
            found[load_name] = [_pair(clients, index, {**load, "seed": index}, load_name) for index in range(pairs)]
    return found, figures(found)


def _pair(clients: Clients, index: int, load: Mapping[str, Any], name: str) -> tuple[Seen, Seen]:
    ways: dict[str, Callable[[Mapping[str, Any]], Seen]] = {"A": clients.by_vllm, "B": clients.by_vbench}
    order = ("A", "B") if first_of_pair(index) == "A" else ("B", "A")
    seen = {side: ways[side](load) for side in order}
    if seen["A"]["tokens"] != seen["B"]["tokens"]:
        raise SystemExit(f"{seen['A']['tokens']} tokens for vLLM's client, {seen['B']['tokens']} for vbench's")
    shown = {one: round(seen["B"][one] / seen["A"][one], 3) for one in COMPARED}
    print(f"{name} pair {index}: {shown}", flush=True)
    return seen["A"], seen["B"]


def figures(found: Mapping[str, Sequence[tuple[Seen, Seen]]]) -> Figures:
    """By load and figure: vbench's ÷ vLLM's."""
    return {
        load: {
            name: as_dict(ratio_of_pairs([(theirs[name], ours[name]) for theirs, ours in pairs]), len(pairs))
            for name in COMPARED
        }
        for load, pairs in found.items()
    }


def page(measured: Mapping[str, Sequence[tuple[Seen, Seen]]], found: Figures, given: argparse.Namespace) -> list[str]:
    """The table."""
    command = (
        f"python -m benchmarks.trust.parity_serve --pairs {given.pairs} --prompts {given.prompts} "
        f"--tokens {given.tokens} --concurrency {given.concurrency} --rate {given.rate:g}"
    )
    rows = [
        (
            "all at once" if load == "at_once" else "Poisson", name,
            _shown(name, [theirs[name] for theirs, _ in pairs]), _shown(name, [ours[name] for _, ours in pairs]),
            in_words(found[load][name]),
        )
        for load, pairs in measured.items()
        for name in COMPARED
    ]  # fmt: skip
    shares = [
        (load, statistics.median(seen["num_gaps"] / (seen["tokens"] - given.prompts) for seen in side))
        for load, pairs in measured.items()
        for side in zip(*pairs, strict=True)
    ]
    return [
        "# vbench's client beside `vllm bench serve`",
        "",
        measured_with("vllm", command),
        "",
        f"One server (model demo/base, no prefix cache) for both; {given.prompts} prompts, {given.tokens} tokens each, "
        f"greedy, streamed; {given.pairs} pairs a load, sides in turns. *All at once*: {given.concurrency} in flight. "
        f"*Poisson*: {given.rate:g} requests/s, the same times for both. Unless it says mean, a latency is the median "
        "over requests (ITL: over gaps between events); the columns of tools show the median over pairs, the ratio is "
        "that of pairs, with 95 %. What the two ask for differs in one thing: vbench has the server send each event's "
        "token ids, by which it counts; vLLM's client counts by the last event's usage.",
        "",
        *table(("load", "figure", "vLLM", "vbench", "vbench ÷ vLLM"), rows),
        "",
        "Gaps seen ÷ gaps between tokens (1: each token came as an event of its own), vLLM's client and vbench's: "
        + "; ".join(f"{load} {share:.3f}" for load, share in shares)
        + ".",
    ]


def _shown(name: str, values: Sequence[float]) -> str:
    middle = statistics.median(values)
    return f"{middle:.1f} tok/s" if name == "throughput" else f"{1000 * middle:.2f} ms"


def main() -> None:
    parser = parser_of(__doc__, "parity_serve")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--concurrency", type=int, default=16, help="in flight, when all come at once")
    parser.add_argument("--rate", type=float, default=6.0, help="Poisson arrivals, requests a second")
    given = parser.parse_args()
    measured, found = measure(given.pairs, given.prompts, given.tokens, given.concurrency, given.rate)
    finish(given.out, page(measured, found, given), {"parity_serve": found})


if __name__ == "__main__":
    main()
