"""The load generators that are compared: how each is started on its core, and what it says of its requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
INSTALL = {
    "GuideLLM": "python -m venv ENV && ENV/bin/pip install 'guidellm[perf]==0.8.1', then --guidellm ENV/bin/python",
    "AIPerf": "python -m venv ENV && ENV/bin/pip install aiperf==0.13.0, then --aiperf ENV/bin/python",
}
TIMEOUT_S = 180.0


@dataclass(frozen=True)
class Load:
    """What is asked of a client: so many requests, at a rate (per second) or so many at a time."""

    count: int
    rate: float | None = None
    concurrency: int | None = None
    workers: int = 1


@dataclass(frozen=True)
class Said:
    """What a client says of a request: when it was sent (by any clock), TTFT, mean gap, and every gap (or none)."""

    sent_s: float
    ttft_s: float
    itl_s: float
    gaps_s: tuple[float, ...] = ()


class Failed(RuntimeError):
    """A client that ended badly, or lost requests; its last words are the text."""


@dataclass(frozen=True)
class Client:
    """A load generator. `run(port, load, folder)` gives what it says of each request, in the order of sending."""

    name: str
    run: Callable[[int, Load, Path], list[Said]]
    workers: tuple[int, ...] = (1,)
    concurrencies: tuple[int, ...] = (256, 1024)


def own_client(core: int, kind: str = "vbench") -> Client:
    """vbench's, or bare sockets (`kind` bare), which say nothing of their requests."""

    def run(port: int, load: Load, folder: Path) -> list[Said]:
        asked: dict[str, Any] = {"port": port, "kind": kind, "count": load.count}
        asked |= {"concurrency": load.concurrency} if load.rate is None else {"rate": load.rate}
        text = _run(core, [sys.executable, "-m", "benchmarks.trust.load_client", json.dumps(asked)], folder)
        said = json.loads(text)
        rows = zip(said["sent_s"], said["ttft_s"], said["gaps_s"], strict=True)
        return [Said(sent, ttft, sum(gaps) / len(gaps), tuple(gaps)) for sent, ttft, gaps in rows]

    return Client({"vbench": "vbench", "bare": "bare sockets"}[kind], run)


def guidellm(python: Path, core: int, tokenizer: Path) -> Client:
    """GuideLLM on one core; its process count is `GUIDELLM__MAX_WORKER_PROCESSES`."""

    def run(port: int, load: Load, folder: Path) -> list[Said]:
        report = folder / "guidellm.json"
        profile = (
            f"kind=concurrent,streams={load.concurrency}" if load.rate is None else f"kind=constant,rate={load.rate}"
        )
        command = [
            str(python.with_name("guidellm")), "run", "--disable-console",
            "--backend", f"kind=openai_http,target=http://127.0.0.1:{port},model=mock,request_format=/v1/completions",
            "--profile", profile, "--constraint", f"kind=max_requests,count={load.count}",
            "--data", "kind=synthetic_text,prompt_tokens=4,output_tokens=16",
            "--tokenizer", f"kind=hf_auto,model={tokenizer}", "--output", f"kind=json,path={report}",
        ]  # fmt: skip
        _run(core, command, folder, GUIDELLM__MAX_WORKER_PROCESSES=str(load.workers), HF_HUB_OFFLINE="1")
        requests = json.loads(report.read_text())["benchmarks"][0]["requests"]
        if requests["errored"]:
            raise Failed(f"{len(requests['errored'])} requests failed")
        said = [
            Said(one["request_start_time"], one["time_to_first_token_ms"] / 1e3, one["inter_token_latency_ms"] / 1e3)
            for one in requests["successful"]
        ]
        return sorted(said, key=lambda one: one.sent_s)

    return Client("GuideLLM", run, workers=(1, 2), concurrencies=(64, 256))


def aiperf(python: Path, core: int, tokenizer: Path) -> Client:
    """AIPerf on one core; its process count is `--workers-max`."""

    def run(port: int, load: Load, folder: Path) -> list[Said]:
        at = ["--concurrency", str(load.concurrency)]
        if load.rate is not None:
            at = ["--request-rate", str(load.rate), "--arrival-pattern", "constant"]
        command = [
            str(python.with_name("aiperf")), "profile", "-m", "mock", "--url", f"http://127.0.0.1:{port}",
            "--endpoint-type", "completions", "--streaming", *at, "--request-count", str(load.count),
            "--workers-max", str(load.workers), "--record-processors", "1", "--use-server-token-count",
            "--isl", "4", "--osl", "16", "--num-dataset-entries", "50", "--tokenizer", str(tokenizer),
            "--ui", "none", "--no-gpu-telemetry", "--no-server-metrics", "--export-level", "records",
            "--artifact-dir", str(folder / "aiperf"),
        ]  # fmt: skip
        _run(core, command, folder)
        lines = (folder / "aiperf" / "profile_export.jsonl").read_text().splitlines()
        return sorted((_of_aiperf(json.loads(line)) for line in lines), key=lambda one: one.sent_s)

    return Client("AIPerf", run, workers=(1, 2), concurrencies=(64, 256))


def _of_aiperf(record: dict[str, Any]) -> Said:
    if record.get("error"):
        raise Failed(f"a request failed: {record['error']}")
    values = {name: metric["value"] for name, metric in record["metrics"].items()}
    gaps = tuple(gap / 1e3 for gap in values["inter_chunk_latency"])
    sent_s = record["metadata"]["request_start_ns"] / 1e9
    return Said(sent_s, values["time_to_first_token"] / 1e3, values["inter_token_latency"] / 1e3, gaps)


def version_of(python: Path, package: str) -> str:
    """The version of a package in another interpreter."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def _run(core: int, command: list[str], folder: Path, **environment: str) -> str:
    """The command's output, with the process and its children kept to that core."""
    with (folder / "stderr.txt").open("w+b") as errors:
        pinned = ["taskset", "-c", str(core), *command]
        process = subprocess.Popen(
            pinned, cwd=HERE.parents[1], env={**os.environ, "HOME": str(folder), **environment},
            stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            raise Failed(f"not done after {TIMEOUT_S:.0f} s: {command[0]}") from None
        if process.returncode:
            errors.seek(0)
            raise Failed((errors.read().decode(errors="replace") + output)[-2000:])
    return output
