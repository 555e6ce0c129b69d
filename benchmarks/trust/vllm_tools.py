"""vLLM's own `bench throughput` and `bench serve`: forked from a process that has imported them, or as the command."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy

from benchmarks.search.vllm_sweep import VLLM, named_vllm
from benchmarks.trust.engine import ENGINE_ARGS, ENVIRONMENT, ROOT
from vbench.execution.memory import MemorySampler, ProcessTreeMemory

SEED = 0
Tool = Literal["throughput", "serve"]
# What the keeper sets for its trials, too.
_ALSO = {"DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}
_COMMAND_TIMEOUT_S = 600
_COUNTS = re.compile(r"^Total num (prompt|output) tokens:\s+(\d+)$", re.MULTILINE)


class Runner(Protocol):
    """A way of running a tool with these words; raises SystemExit with the end of its log where it fails."""

    def __call__(self, tool: Tool, argv: Sequence[str], log: Path) -> None: ...


class Zygote:
    """A running `vllm_zygote`. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        with (folder / "zygote.log").open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.trust.vllm_zygote"], cwd=ROOT, text=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **_ALSO, **ENVIRONMENT},
            )  # fmt: skip
        threads = self._answer().get("threads")
        if threads != 1:
            self.close()
            raise SystemExit(f"vLLM's benchmarks can't be forked here: their import left {threads} threads")

    def __call__(self, tool: Tool, argv: Sequence[str], log: Path) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"tool": tool, "argv": list(argv), "log": str(log)}) + "\n")
        self._process.stdin.flush()
        _checked(f"vllm bench {tool}", self._answer()["status"], log)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("{"):  # an import may print
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise SystemExit("the process of vLLM's benchmarks has ended")

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class OneEngine:
    """A running `one_engine`. Use as a context manager."""

    def __init__(
        self, folder: Path, model: Path, prompts: Sequence[Mapping[str, Any]], output_tokens: int,
        sampling: Mapping[str, Any], words: Sequence[str],
    ) -> None:  # fmt: skip
        prompts_file = folder / "one-engine.jsonl"
        prompts_file.write_text("".join(json.dumps(one) + "\n" for one in prompts), encoding="utf-8")
        request = {
            "engine": "vllm", "model": str(model.resolve()), "engine_args": dict(ENGINE_ARGS),
            "sampling": dict(sampling), "prompts_file": str(prompts_file), "output_tokens": output_tokens,
            "max_tokens": None,
        }  # fmt: skip
        self._log = folder / "one-engine.log"
        with self._log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.trust.one_engine", json.dumps(request), json.dumps(list(words))],
                cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                env={**os.environ, **_ALSO, **ENVIRONMENT},
            )  # fmt: skip
        self._answer()

    def vllm(self) -> dict[str, float]:
        """What vLLM's timed function found."""
        return self._asked("vllm")

    def vbench(self) -> dict[str, float]:
        """What a pass of vbench found, with the memory sampled as in a trial."""
        sampler = MemorySampler(ProcessTreeMemory(self._process.pid, None))
        sampler.start()
        try:
            return self._asked("vbench")
        finally:
            sampler.stop()

    def _asked(self, way: str) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(way + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the engine has ended:\n{self._log.read_text(errors='replace')[-3000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> OneEngine:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def command(tool: Tool, argv: Sequence[str], log: Path) -> None:
    """`vllm bench TOOL ARGV` in a fresh process."""
    environment = {**os.environ, **_ALSO, **ENVIRONMENT, **named_vllm(log.parent)}
    with log.open("wb") as output:
        status = subprocess.run(
            [str(VLLM), "bench", tool, *argv], env=environment, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, timeout=_COMMAND_TIMEOUT_S, check=False,
        ).returncode  # fmt: skip
    _checked(f"vllm bench {tool}", status, log)


def _checked(what: str, status: int, log: Path) -> None:
    if status != 0:
        raise SystemExit(f"{what} ended with {status}:\n{log.read_text(errors='replace')[-3000:]}")


def engine_words(engine_args: Mapping[str, Any]) -> list[str]:
    """Engine arguments as the command takes them."""
    words = []
    for name, value in engine_args.items():
        word = "--" + ("" if value is not False else "no-") + name.replace("_", "-")
        words += [word] if isinstance(value, bool) else [word, str(value)]
    return words


def write_sharegpt(prompts: Sequence[str], path: Path) -> None:
    """A ShareGPT file from which vLLM's dataset, shuffled with SEED (it always is), takes the prompts in this order."""
    places = list(range(len(prompts)))
    random.Random(SEED).shuffle(places)
    entries: list[Any] = [None] * len(prompts)
    for prompt, place in zip(prompts, places, strict=True):
        entries[place] = {"conversations": [{"from": "human", "value": prompt}, {"from": "gpt", "value": "-"}]}
    path.write_text(json.dumps(entries), encoding="utf-8")


def throughput_words(
    model: Path, dataset: Path, num_prompts: int, output_tokens: int, engine_args: Mapping[str, Any], result: Path
) -> list[str]:
    """Words of `bench throughput`: a warm-up over all prompts (it shuffles them otherwise), then the timed pass."""
    return [
        "--model", str(model), "--tokenizer", str(model), "--dataset-name", "sharegpt", "--dataset-path", str(dataset),
        "--num-prompts", str(num_prompts), "--num-warmups", str(num_prompts), "--output-len", str(output_tokens),
        "--seed", str(SEED), "--output-json", str(result), *engine_words(engine_args),
    ]  # fmt: skip


def throughput_result(result: Path, log: Path) -> dict[str, float]:
    """What a run of `bench throughput` says: `tok_s` of output by its own seconds, and the tokens that it counted."""
    counted = {kind: int(number) for kind, number in _COUNTS.findall(log.read_text(errors="replace"))}
    elapsed_s = json.loads(result.read_bytes())["elapsed_time"]
    return {
        "tok_s": counted["output"] / elapsed_s,
        "prompt_tokens": counted["prompt"],
        "output_tokens": counted["output"],
    }


def write_custom(prompts: Sequence[str], path: Path) -> None:
    """The prompts as `--dataset-name custom` reads them."""
    path.write_text("".join(json.dumps({"prompt": one}) + "\n" for one in prompts), encoding="utf-8")


def serve_words(
    model: Path, dataset: Path, num_prompts: int, output_tokens: int, port: int, key: str, result: Path,
    load: Mapping[str, Any],
) -> list[str]:  # fmt: skip
    """Words of `bench serve` against a running server that calls its model `vbench`; `load`: `request_rate`,
    `max_concurrency`, `seed`."""
    words = [
        "--backend", "openai", "--host", "127.0.0.1", "--port", str(port), "--endpoint", "/v1/completions",
        "--header", f"Authorization=Bearer {key}", "--model", str(model), "--served-model-name", "vbench",
        "--dataset-name", "custom", "--dataset-path", str(dataset), "--skip-chat-template", "--disable-shuffle",
        "--num-prompts", str(num_prompts), "--custom-output-len", str(output_tokens), "--ignore-eos",
        "--temperature", "0", "--disable-tqdm", "--seed", str(load["seed"]), "--request-rate",
        str(load["request_rate"]), "--save-result", "--save-detailed", "--result-dir", str(result.parent),
        "--result-filename", result.name,
    ]  # fmt: skip
    return words if load["max_concurrency"] is None else [*words, "--max-concurrency", str(load["max_concurrency"])]


def arrivals_of(count: int, load: Mapping[str, Any]) -> list[float] | None:
    """When `bench serve` sends each request, in seconds from its start: its own draws (vLLM 0.32, `get_request`). None:
    all at once."""
    rate = float(load["request_rate"])
    if rate == float("inf"):
        return None
    numpy.random.seed(load["seed"])
    sums = numpy.cumsum([numpy.random.gamma(shape=1.0, scale=1.0 / rate) for _ in range(count)])
    return [float(one) for one in sums * (count / rate / sums[-1])]
