"""What a listener is told when a run begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cli.process import BASE
from vbench.progress import RunInfo, Standing
from vbench.records.runs import RunFolder
from vbench.spec.loader import load_spec

GIB = 1024**3


def info_of(tmp_path: Path, standing: Standing | None = None, text: str = BASE, **changes: Any) -> RunInfo:
    path = tmp_path / "small.yaml"
    path.write_text(text)
    facts: dict[str, Any] = {
        "spec": load_spec(path, []), "run": RunFolder(tmp_path / "small" / "20261103-093000"), "num_earlier": 0,
        "standing": standing or Standing(planned=30, done=12), "is_complete": False, "best": None, "engine": "fake 1",
        "hardware": "cpu", "num_prompts": 4, "prompt_sha256": "ab" * 32, "memory_bytes": 16 * GIB,
    }  # fmt: skip
    return RunInfo(**{**facts, **changes})
