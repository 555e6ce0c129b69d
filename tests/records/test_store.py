from __future__ import annotations

import json
import logging
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records.builders import make_failure, make_record
from vbench.errors import StoreError
from vbench.outcome import Outcome
from vbench.records.decode import decode_line
from vbench.records.record import TrialRecord
from vbench.records.store import RecordStore, encode_line


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trials.jsonl"


def write(path: Path, *records: TrialRecord) -> None:
    with RecordStore(path) as store:
        for record in records:
            store.append(record)


@contextmanager
def file_size_limit(num_bytes: int) -> Iterator[None]:
    """A disk that is full after so many bytes of one file (Python ignores SIGXFSZ, so that write raises EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_appended_is_read_back(path: Path) -> None:
    failed = make_record(
        1, None, outcome=Outcome.OUT_OF_MEMORY, failure=make_failure(evidence='a "quote"\n\u2028 é 🚀 \r')
    )
    write(path, make_record(0), failed)
    result = RecordStore(path).read()
    assert result.records == (make_record(0), failed)
    assert result.problems == ()
    assert path.read_bytes().count(b"\n") == 2  # one line a record, whatever the text holds


def test_each_record_is_on_the_disk_when_append_returns_and_waited_for_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def counted(fd: int) -> None:
        fsync(fd)
        synced.append(os.fstat(fd).st_size)

    with RecordStore(path) as store:
        monkeypatch.setattr(os, "fsync", counted)
        sizes = []
        for number in range(3):
            store.append(make_record(number))
            sizes.append(path.stat().st_size)

    assert synced == sizes


def test_append_outside_a_with_block_opens_and_closes(path: Path) -> None:
    store = RecordStore(path)
    store.append(make_record(0))
    store.append(make_record(1))
    assert [record.trial for record in store.read().records] == [0, 1]


def test_a_store_is_not_opened_twice(path: Path) -> None:
    with RecordStore(path) as store, pytest.raises(ValueError, match="already open"), store:
        pass


def test_a_missing_file_has_no_records(path: Path) -> None:
    assert RecordStore(path).read().records == ()
    assert not path.exists()


def test_an_unreadable_file_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't be read"):
        RecordStore(tmp_path).read()


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be opened for writing"):
        RecordStore(tmp_path / "file" / "trials.jsonl").append(make_record())


def test_unknown_keys_are_kept(path: Path) -> None:
    line = json.loads(encode_line(make_record(0)))
    path.write_text(json.dumps({**line, "from_the_future": {"x": 1}}) + "\n")
    record = RecordStore(path).read().records[0]
    assert json.loads(encode_line(record))["from_the_future"] == {"x": 1}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_lacks_are_refused_on_write(path: Path, number: float) -> None:
    with RecordStore(path) as store:
        with pytest.raises(ValueError, match="trial 3 can't be stored"):
            store.append(make_record(3, measurements={"startup_s": number}))
        store.append(make_record(4))
    assert [record.trial for record in RecordStore(path).read().records] == [4]


@pytest.mark.parametrize("written", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_lacks_are_problems_on_read(path: Path, written: str) -> None:
    good = encode_line(make_record(0)).decode()
    # 20 s start-up + two passes (one of them warm-up) of 1000 tokens ÷ 250 tok/s = 4 s each + 2 s = 30 s
    path.write_text(good.replace('"duration_s":30.0', f'"duration_s":{written}') + good)
    result = RecordStore(path).read()
    assert [problem.line for problem in result.problems] == [1]
    assert len(result.records) == 1


def test_undecodable_bytes_do_not_stop_a_record(path: Path) -> None:
    write(path, make_record(0, config={"engine": "vllm", "model": "a\udcff"}))
    assert RecordStore(path).read().records[0].config["model"] == "a?"


def test_every_bad_line_is_named_and_the_others_are_read(path: Path) -> None:
    good, other = encode_line(make_record(0)), encode_line(make_record(1))
    newer = json.dumps({**json.loads(good), "schema_version": 2}).encode() + b"\n"
    deep = b'{"config":' + b"[" * 100_000 + b"\n"
    path.write_bytes(good + b"not json\n" + b"[1]\n" + b"\xff\xfe\n" + newer + deep + b'{"trial": 5}\n\n' + other)
    result = RecordStore(path).read()
    assert [record.trial for record in result.records] == [0, 1]
    assert [problem.line for problem in result.problems] == [2, 3, 4, 5, 6, 7]
    assert result.messages()[0].startswith(f"{path}:2: not valid JSON")
    assert "upgrade vbench" in result.messages()[3]
    assert result.beyond == {0}
    assert "config" in result.messages()[5]


def test_the_first_of_two_records_of_a_trial_wins(path: Path) -> None:
    path.write_bytes(encode_line(make_record(7, 100.0)) + encode_line(make_record(7, 999.0)))
    result = RecordStore(path).read()
    assert [record.measurements["output_throughput_tok_s"] for record in result.records] == [100.0]
    assert "trial 7 is already on line 1" in result.messages()[0]


def test_a_file_cut_at_any_byte_of_its_last_record_loses_at_most_that_record(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, last = encode_line(make_record(0)), encode_line(make_record(1))
    for kept in range(len(last) + 1):
        path.write_bytes(first + last[:kept])
        RecordStore(path).torn_path.unlink(missing_ok=True)
        is_complete = kept >= len(last) - 1  # only the newline may be missing
        before = RecordStore(path).read()
        with caplog.at_level(logging.WARNING), RecordStore(path) as store:
            store.append(make_record(2))
            assert len(store.repairs) == (0 if kept in (0, len(last)) else 1)
        after = store.read()
        assert [one.trial for one in before.records] == ([0, 1] if is_complete else [0])
        assert len(before.problems) == (0 if is_complete or kept == 0 else 1)
        assert [one.trial for one in after.records] == ([0, 1, 2] if is_complete else [0, 2])
        assert after.problems == ()
        torn = store.torn_path.read_bytes() if store.torn_path.exists() else b""
        assert torn == (b"" if is_complete or kept == 0 else last[:kept] + b"\n")
    assert "moved to" in caplog.text


def test_torn_fragments_are_collected(path: Path) -> None:
    for fragment in (b'{"trial', b'{"tri'):
        with path.open("ab") as file:
            file.write(fragment)
        write(path)
    assert RecordStore(path).torn_path.read_bytes() == b'{"trial\n{"tri\n'


def test_a_tail_longer_than_a_block_is_moved_whole(path: Path) -> None:
    fragment = b'{"x": "' + b"y" * 200_000
    path.write_bytes(encode_line(make_record(0)) + fragment)
    write(path, make_record(1))
    assert RecordStore(path).torn_path.read_bytes() == fragment + b"\n"
    assert len(RecordStore(path).read().records) == 2


def test_a_complete_last_line_of_a_newer_version_is_kept(path: Path) -> None:
    path.write_bytes(b'{"schema_version": 99}')
    write(path, make_record(0))
    result = RecordStore(path).read()
    assert [record.trial for record in result.records] == [0]
    assert result.problems[0].line == 1
    assert not RecordStore(path).torn_path.exists()


def test_a_full_disk_leaves_no_half_record(path: Path) -> None:
    write(path, make_record(0))
    size = path.stat().st_size
    with RecordStore(path) as store:
        with file_size_limit(size + 100), pytest.raises(StoreError, match=r"trial 1 .* run the same command again"):
            store.append(make_record(1))
        assert path.stat().st_size == size
        store.append(make_record(2))  # room again: the same store goes on
    result = RecordStore(path).read()
    assert [record.trial for record in result.records] == [0, 2]
    assert result.problems == ()


def test_no_space_left_says_so() -> None:
    with pytest.raises(StoreError, match=r"No space left on device; free some space"):
        RecordStore(Path("/dev/full")).append(make_record())


def test_an_interrupted_write_leaves_no_half_record(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, make_record(0))
    whole = os.write

    def interrupted(fd: int, data: bytes) -> int:
        whole(fd, bytes(data)[:10])
        raise KeyboardInterrupt

    with RecordStore(path) as store:
        monkeypatch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.append(make_record(1))
        monkeypatch.undo()
    assert path.read_bytes() == encode_line(make_record(0))


def test_a_killed_writer_leaves_whole_records(path: Path) -> None:
    program = (
        "import itertools, sys\n"
        "from pathlib import Path\n"
        "from tests.records.builders import make_record\n"
        "from vbench.records.store import RecordStore\n"
        "with RecordStore(Path(sys.argv[1])) as store:\n"
        "    for trial in itertools.count():\n"
        "        store.append(make_record(trial))\n"
        "        print(trial, flush=True)\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, cwd=root) as writer:
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(5)]
        writer.kill()
        said += [int(line) for line in writer.stdout]
    with RecordStore(path) as store:
        pass
    trials = [record.trial for record in store.read().records]
    assert trials[: len(said)] == said  # whatever was reported as stored is stored
    assert store.read().problems == ()


@given(st.text())
def test_any_text_survives(text: str) -> None:
    record = make_record(0, warnings=[text])
    line = encode_line(record)
    assert line.count(b"\n") == 1
    assert decode_line(line) == record
