"""Two trials side by side, each on a GPU of its own: real processes and pynvml, the fake engine, a scripted driver."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

Probe = Callable[..., dict[str, Any]]
UUIDS = "GPU-aaaa0000-0000-0000-0000-000000000000", "GPU-bbbb0000-0000-0000-0000-000000000001"


@pytest.fixture
def slots(probe: Probe, tmp_path: Path) -> Probe:
    return partial(probe, program="slots_probe.py", folder=str(tmp_path))


@pytest.mark.parametrize(
    ("setting", "given", "indexes"),
    [
        (None, {"0": "0", "1": "1"}, [[0], [1]]),
        ("1,0", {"0": "1", "1": "0"}, [[1], [0]]),
        (f"{UUIDS[1]},{UUIDS[0]}", {"0": UUIDS[1], "1": UUIDS[0]}, [[1], [0]]),
    ],
)
def test_each_sees_and_reads_its_own_gpu(
    slots: Probe, setting: str | None, given: dict[str, str], indexes: list[list[int]]
) -> None:
    said = slots(environment={} if setting is None else {"CUDA_VISIBLE_DEVICES": setting})
    records = said["records"]
    assert [one["outcome"] for one in records] == ["completed", "completed"]
    assert said["given"] == given
    assert [[gpu["index"] for gpu in one["hardware"]["gpus"]] for one in records] == indexes
    assert [one["environment"]["side_by_side"]["place"] for one in records] == [f"GPU {one}" for (one,) in indexes]
    for record, (index,) in zip(records, indexes, strict=True):
        timed = [one for one in record["phases"] if one["name"] == "pass"]
        assert all([gpu["gpu"] for gpu in one["gpus"]] == [index] for one in timed)
        assert record["config"].get("environment") is None  # the place is no part of the configuration


def test_only_what_is_visible_is_a_place(slots: Probe) -> None:
    said = slots(environment={"CUDA_VISIBLE_DEVICES": "1"})
    assert said["given"] == {"0": "1"}
    assert len(said["records"]) == 1
