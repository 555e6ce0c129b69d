"""Checkpoint folders of the demo, made and read by hand, for the tests of this folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
Array = npt.NDArray[Any]
_NUMPY = {"F16": np.float16, "I8": np.int8, "I32": np.int32, "I64": np.int64}


def make(out: Path, which: str = "tiny") -> str:
    """Run the tool; what it printed."""
    command = [sys.executable, str(ROOT / "tools" / "demo_model.py"), "--out", str(out), which]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def read_tensors(path: Path) -> dict[str, Array]:
    """The safetensors format by hand (8 bytes of length, a JSON header, the data): no torch in the test process."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        raw = data[start + begin : start + end]
        if entry["dtype"] == "BF16":  # the upper half of a float32
            flat: Array = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            flat = np.frombuffer(raw, _NUMPY[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def nibbles(packed: Array) -> list[Array]:
    """The eight 4-bit numbers of each int32, lowest bits first."""
    return [(packed.view(np.uint32) >> (4 * i)) & 15 for i in range(8)]


def write_plain(like: Path, tensors: dict[str, Array], out: Path) -> None:
    """A plain checkpoint in float32 with these weights; config and tokenizer are those of `like`."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    blobs: list[bytes] = []
    for name, tensor in tensors.items():
        blob = np.ascontiguousarray(tensor, np.float32).tobytes()
        begin = sum(len(one) for one in blobs)
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, begin + len(blob)]}
        blobs.append(blob)
    text = json.dumps(header).encode()
    out.mkdir()
    (out / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (out / name).write_bytes((like / name).read_bytes())


def ask_engine(script: Path, code: str, *words: str) -> Any:
    """Run `code` in a process of its own; the JSON that it prints after `ANSWERS `."""
    script.write_text(code)
    own = {"OMP_NUM_THREADS": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), *words],
        check=False,
        text=True,
        capture_output=True,
        env={**os.environ, **own, "HF_HUB_OFFLINE": "1"},
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("ANSWERS ")), None)
    assert line is not None, done.stderr[-3000:]
    return json.loads(line.removeprefix("ANSWERS "))
