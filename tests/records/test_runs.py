from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.records.builders import NOW
from vbench.errors import StoreError, UsageError
from vbench.records import lock
from vbench.records.runs import RunFolder, create, find_runs, read_json, resolve_run, write_json_atomic


def make(root: Path, sweep: str, seconds: int = 0) -> RunFolder:
    run = create(root, sweep, NOW + timedelta(seconds=seconds))
    run.trials_jsonl.touch()
    return run


def test_a_run_is_named_by_its_time_in_utc(tmp_path: Path) -> None:
    berlin = datetime(2026, 11, 3, 10, 30, 0, tzinfo=timezone(timedelta(hours=1)))
    run = create(tmp_path, "demo", berlin)
    assert run.path == tmp_path / "demo" / "20261103-093000"
    assert (run.sweep, run.run_id) == ("demo", "20261103-093000")
    assert run.log(7) == run.path / "logs" / "0007.log"
    assert run.samples(12345) == run.path / "samples" / "12345.csv"
    assert run.log(7).parent.is_dir()
    assert run.samples(7).parent.is_dir()
    names = (run.sweep_yaml, run.machine_json, run.run_json, run.trials_jsonl, run.prompts_jsonl, run.pending_json)
    expected = ["sweep.yaml", "machine.json", "run.json", "trials.jsonl", "prompts.jsonl", "pending.json"]
    assert [path.name for path in names] == expected


def test_runs_of_the_same_second_get_a_number(tmp_path: Path) -> None:
    ids = [create(tmp_path, "demo", NOW).run_id for _ in range(3)]
    assert ids == ["20261103-093000", "20261103-093000-2", "20261103-093000-3"]


def test_a_time_without_a_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        create(tmp_path, "demo", NOW.replace(tzinfo=None))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "x" * 201, "a\0b"])
def test_names_that_leave_the_results_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="can't be the name of a folder"):
        create(tmp_path, name, NOW)


def test_a_results_root_that_is_a_file_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(StoreError):
        create(tmp_path / "results", "demo", NOW)
    with pytest.raises(StoreError, match="a part of the path is a file"):
        create(tmp_path, "results", NOW)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="not a folder"):
        create(tmp_path, "dangling", NOW)


def test_runs_are_found_newest_first(tmp_path: Path) -> None:
    made = [make(tmp_path, "a", 0), make(tmp_path, "b", 5), make(tmp_path, "a", 60)]
    made += [make(tmp_path, "a", 60) for _ in range(10)]  # …-2 to …-11: by number, not by text
    (tmp_path / "a" / "example").mkdir()
    (tmp_path / "a" / "example" / "run.json").write_text("{}")
    (tmp_path / "a" / "empty").mkdir()
    found = [run.path for run in find_runs(tmp_path)]
    assert found == [*(run.path for run in reversed(made)), tmp_path / "a" / "example"]
    assert find_runs(tmp_path / "nowhere") == []


def test_a_run_is_resolved_by_any_of_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "results"
    old, other, new = make(root, "a", 0), make(root, "b", 5), make(root, "a", 9)
    assert resolve_run(root, "") == new
    assert resolve_run(root, "a") == new
    assert resolve_run(root, "b") == other
    assert resolve_run(root, f"a/{old.run_id}") == old
    assert resolve_run(root, old.run_id) == old
    assert resolve_run(root, str(old.path)) == old
    assert resolve_run(root, str(old.trials_jsonl)) == old
    assert resolve_run(root, str(root / "a")) == new
    monkeypatch.chdir(tmp_path)
    assert resolve_run(Path("results"), "results/a/").path.resolve() == new.path


def test_a_run_that_is_not_there_gets_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no runs in .*vbench sweep FILE"):
        resolve_run(tmp_path, "")
    run = make(tmp_path, "speculative")
    with pytest.raises(UsageError, match="did you mean speculative"):
        resolve_run(tmp_path, "speculativ")
    with pytest.raises(UsageError, match=f"there are speculative, speculative/{run.run_id}"):
        resolve_run(tmp_path, "zzz")


def test_an_ambiguous_run_id_names_the_runs(tmp_path: Path) -> None:
    run = make(tmp_path, "a")
    make(tmp_path, "b")
    with pytest.raises(UsageError, match=f"say which of b/{run.run_id}, a/{run.run_id}"):
        resolve_run(tmp_path, run.run_id)


def test_a_lock_names_the_process_that_holds_it(tmp_path: Path) -> None:
    run = make(tmp_path, "demo")
    program = (
        "import sys\nfrom pathlib import Path\nfrom vbench.records.runs import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).lock():\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        with pytest.raises(StoreError, match=f"in use by another vbench .pid {holder.pid}."), run.lock():
            pass
        holder.kill()  # however the holder ends, its lock ends with it
        holder.wait()
    with run.lock():
        assert run.lock_path.read_text() == f"{os.getpid()}\n"
    with run.lock():  # released, so it can be had again
        pass


def test_a_lock_is_exclusive_within_a_process_too(tmp_path: Path) -> None:
    run = make(tmp_path, "demo")
    with run.lock(), pytest.raises(StoreError, match=f"pid {os.getpid()}"), run.lock():
        pass


def test_json_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_json_atomic(path, {"name": "é🚀", "status": "running"})
    write_json_atomic(path, {"name": "é🚀", "status": "finished"})
    assert read_json(path) == {"name": "é🚀", "status": "finished"}
    with pytest.raises(ValueError, match="JSON"):
        write_json_atomic(path, {"x": float("nan")})
    assert read_json(path)["status"] == "finished"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_a_json_file_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="can't be written"):
        write_json_atomic(tmp_path / "folder", {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]
    with pytest.raises(StoreError, match="can't be written"):
        write_json_atomic(tmp_path / "nowhere" / "run.json", {})


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff", "[" * 100_000])
def test_a_broken_json_file_is_a_store_error_that_names_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError, match=r"run\.json"):
        read_json(path)
    with pytest.raises(StoreError, match="missing"):
        read_json(tmp_path / "machine.json")
    assert json.dumps(None) == "null"


def test_a_run_after_the_clock_was_set_back_is_the_latest_all_the_same(tmp_path: Path) -> None:
    future = make(tmp_path, "a", 3600)
    for sweep in ("a", "b", "a"):
        run = make(tmp_path, sweep, 0)
        assert resolve_run(tmp_path, "") == run
    assert [run.run_id for run in find_runs(tmp_path)] == [f"{future.run_id}-{n}" for n in (4, 3, 2)] + [future.run_id]
    assert make(tmp_path, "a", 7200).run_id == "20261103-113000"


@pytest.mark.parametrize("text", ["a" * 300, "~nobody-of-this-name", "a/" * 3000])
def test_a_name_that_no_file_can_have_is_no_run(tmp_path: Path, text: str) -> None:
    make(tmp_path, "demo")
    with pytest.raises(UsageError, match=r"no run '(a|~nobody)") as caught:
        resolve_run(tmp_path, text)
    assert len(str(caught.value)) < 400


def test_a_folder_that_takes_no_file_is_a_store_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.mkdir

    def mkdir(self: Path, *words: object, **options: object) -> None:
        if self.name == "samples":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(self, *words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(StoreError, match="samples can't be created: No space left on device; free some space"):
        create(tmp_path, "demo", NOW)


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(StoreError, match="can't be locked: No locks available"), make(tmp_path, "demo").lock():
        pass


def test_the_holder_of_a_run_is_who_has_its_lock_open(tmp_path: Path) -> None:
    run = make(tmp_path, "demo")
    assert lock.holder(run.lock_path) is None
    with run.lock():
        assert lock.holder(run.lock_path) == os.getpid()
    assert lock.holder(run.lock_path) is None
    run.lock_path.write_text("not a pid")
    assert lock.holder(run.lock_path) is None


def test_what_a_killed_one_was_writing_goes(tmp_path: Path) -> None:
    run = create(tmp_path, "small", NOW)
    half = [run.path / name for name in (".ledger.jsonl.15109.tmp", ".run.json.7.tmp", ".best.md.1.tmp")]
    others = [run.path / name for name in (".trials.jsonl.reserve", ".notes.tmp", "mine.jsonl.1.tmp", ".x.txt.1.tmp")]
    for path in (*half, *others):
        path.write_text("x")

    with run.lock():
        assert [path.exists() for path in half] == [False] * 3
        assert all(path.exists() for path in others)
