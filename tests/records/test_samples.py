"""Memory over time, read back: as it is written, and as a killed trial or a full disk leaves it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from vbench.execution.memory import MemorySample, write_samples
from vbench.hardware.gpu_samples import GpuSample, GpuUse, write_gpu_samples
from vbench.hardware.gpu_types import GpuReading
from vbench.records.samples import read_samples

GPU_HEADER = "t_s,memory_bytes,num_processes,host_bytes,gpu0_used_bytes,gpu0_power_w,gpu1_used_bytes,gpu1_power_w\n"


def test_what_the_sampler_wrote_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "0000.csv"
    written = [
        MemorySample(t=100.0, used_bytes=1000, num_processes=1),
        MemorySample(t=100.5, used_bytes=None, num_processes=0),
        MemorySample(t=101.25, used_bytes=3000, num_processes=2),
    ]
    write_samples(written, path, origin=100.0)
    found = read_samples(path)
    assert found is not None
    assert found.t_s == (0.0, 0.5, 1.25)
    assert found.memory_bytes == (1000.0, None, 3000.0)  # what couldn't be read isn't 0
    assert found.gpus == {}


@pytest.mark.parametrize("name", ["0000.csv", "0000.csv.gz"])
def test_each_gpu_has_its_own_column(tmp_path: Path, name: str) -> None:
    uses = [
        GpuUse(reading=GpuReading(index=index), used_bytes=used, tree_bytes=None, foreign_bytes=None, foreign_pids=None)
        for index, used in ((1, 500), (3, 700))
    ]
    sample = GpuSample(t=7.0, used_bytes=700, num_processes=1, host_bytes=None, gpus=tuple(uses))
    write_gpu_samples([sample], tmp_path / name, origin=5.0)
    found = read_samples(tmp_path / "0000.csv")
    assert found is not None
    assert found.t_s == (2.0,)
    assert found.memory_bytes == (700.0,)
    assert found.gpus == {1: (500.0,), 3: (700.0,)}


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "0000.csv"
    path.write_text(GPU_HEADER + "0.1,5,1,,5,70.0,4,70.0\n0.2,6,1,,6,71.5,")
    found = read_samples(path)
    assert found is not None
    assert found.t_s == (0.1,)


def test_what_no_number_is_counts_as_not_read(tmp_path: Path) -> None:
    path = tmp_path / "0000.csv"
    path.write_text("t_s,memory_bytes,num_processes\n0.3,nan,1\n0.1,<script>,1\ninf,5,1\n,6,1\n0.2,-4,1\n0.4,7,1\n")
    found = read_samples(path)
    assert found is not None
    assert found.t_s == (0.1, 0.2, 0.3, 0.4)
    assert found.memory_bytes == (None, None, None, 7.0)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\xff\xfe garbage", b"a,b\n1,2\n", b"t_s,memory_bytes,num_processes\n", b't_s,memory_bytes\n"1,2\n'],
)
def test_a_file_without_a_sample_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "0000.csv"
    path.write_bytes(content)
    assert read_samples(path) is None


def test_a_missing_file_is_none(tmp_path: Path) -> None:
    assert read_samples(tmp_path / "0000.csv") is None


def test_a_torn_gzip_gives_what_was_whole(tmp_path: Path) -> None:
    lines = "".join(f"{place},{place * 17 % 1009},1\n" for place in range(20_000))
    whole = gzip.compress(b"t_s,memory_bytes,num_processes\n" + lines.encode())
    (tmp_path / "0000.csv.gz").write_bytes(whole[: len(whole) // 2])
    found = read_samples(tmp_path / "0000.csv")
    assert found is not None
    assert 0 < len(found.t_s) < 20_000
