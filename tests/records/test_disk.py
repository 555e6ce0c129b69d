"""Room that is held for the next record, and what is said of a disk that has none."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest

from tests.records.builders import make_record
from vbench.errors import StoreError
from vbench.records import store as store_module
from vbench.records.disk import FULL, RESERVE_BYTES, Reserve, storage_advice, write_all
from vbench.records.store import RecordStore


def test_room_is_held_and_given_back(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "trials.jsonl")

    reserve.hold()

    (held,) = tmp_path.iterdir()
    assert held.stat().st_blocks * 512 >= RESERVE_BYTES  # not a hole
    assert reserve.release()
    assert not reserve.release()
    assert not list(tmp_path.iterdir())


def test_larger_records_have_more_room(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "trials.jsonl")
    reserve.hold()
    reserve.num_bytes = 2 * RESERVE_BYTES

    reserve.hold()

    assert reserve.path.stat().st_size == 2 * RESERVE_BYTES
    reserve.release()


@pytest.mark.parametrize("number", sorted(FULL))
def test_a_record_that_meets_a_full_disk_is_written_in_place_of_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "trials.jsonl"
    with RecordStore(path) as store:
        store.append(make_record(trial=0))
        store.make_room()
        held = next(tmp_path.glob(".*"))

        def write(fd: int, data: bytes) -> None:
            if held.exists():
                os.write(fd, data[:10])
                raise OSError(number, os.strerror(number))
            write_all(fd, data)

        monkeypatch.setattr(store_module, "write_all", write)
        store.append(make_record(trial=1))
        monkeypatch.undo()
    assert [one.trial for one in RecordStore(path).read().records] == [0, 1]
    assert not list(tmp_path.glob(".*"))


def test_without_room_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with RecordStore(tmp_path / "trials.jsonl") as store, pytest.raises(StoreError) as refused:
        store.make_room()
    assert "no room for the next trial's record (4 MiB): No space left on device; free some space" in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["trials.jsonl"]


def test_a_file_system_that_promises_no_room_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with RecordStore(tmp_path / "trials.jsonl") as store:
        store.make_room()
        store.append(make_record(trial=0))
    assert [path.name for path in tmp_path.iterdir()] == ["trials.jsonl"]


def test_a_limit_on_files_counts_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (RESERVE_BYTES + 100, resource.RLIM_INFINITY))
    reserve = Reserve(tmp_path / "trials.jsonl")

    reserve.hold(100)
    with pytest.raises(OSError, match="File too large"):
        reserve.hold(101)
    reserve.release()


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.EMFILE, "ulimit -n"), (errno.EIO, "dmesg"), (errno.EFBIG, "ulimit -f")]
)
def test_what_to_do(number: int, advice: str) -> None:
    assert advice in storage_advice(OSError(number, ""))
