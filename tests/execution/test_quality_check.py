"""What the check of the answers is asked with: the texts, fixed once for all of a run's trials."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vbench.execution import quality_check
from vbench.execution.quality_check import frozen_texts
from vbench.records.runs import RunFolder
from vbench.spec.loader import parse_spec

SWEEP = """\
name: one
model: org/name
engine: fake
prompts: {synthetic: {count: 4, input_tokens: 8}, output_tokens: 8}
"""


def test_trials_side_by_side_fix_the_texts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, run = parse_spec(SWEEP, tmp_path / "one.yaml"), RunFolder(path=tmp_path)
    written: list[Path] = []

    def slowly(path: Path, data: bytes) -> None:
        written.append(path)
        time.sleep(0.05)
        path.write_bytes(data)

    monkeypatch.setattr(quality_check, "write_bytes_atomic", slowly)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: frozen_texts(spec, run), range(4)))

    assert written == [found[0][1]]
    assert {(texts.sha256, path) for texts, path in found} == {(found[0][0].sha256, written[0])}
    assert len(found[0][0].texts) == spec.quality.num_texts
