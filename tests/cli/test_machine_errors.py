"""What the system refuses is told as such, not as a defect."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vbench.cli.machine_errors import told
from vbench.errors import EXIT_MACHINE, EXIT_STORE, EXIT_USAGE


def refusal(number: int, name: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), name) if name else OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (refusal(errno.ENOSPC), EXIT_STORE, "the output can't be written: No space left on device; free some space"),
        (refusal(errno.EROFS, "r/x"), EXIT_STORE, "r/x can't be written: Read-only file system"),
        (refusal(errno.EACCES, "r/x"), EXIT_STORE, "r/x can't be opened or changed: Permission denied; check who owns"),
        (refusal(errno.ENAMETOOLONG, "a" * 999), EXIT_USAGE, f"{'a' * 200}…: File name too long"),
        (refusal(errno.EMFILE, "x"), EXIT_MACHINE, "ulimit -n"),
        (refusal(errno.EAGAIN), EXIT_MACHINE, "ulimit -u"),
        (RuntimeError("can't start new thread"), EXIT_MACHINE, "ulimit -u"),
        (refusal(errno.ENOMEM), EXIT_MACHINE, "no memory left"),
        (MemoryError(), EXIT_MACHINE, "no memory left"),
    ],
)
def test_it_says_what_to_do(error: Exception, code: int, says: str) -> None:
    found = told(error)
    assert found is not None
    assert says in found.text
    assert found.exit_code == code


@pytest.mark.parametrize(
    "error",
    [refusal(errno.EPERM), refusal(errno.EBADF), refusal(errno.ENOENT, "x"), ValueError("x"), RuntimeError("x")],
)
def test_the_rest_is_a_defect(error: Exception) -> None:
    assert told(error) is None


def test_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    found = told(refusal(errno.ENOENT))
    assert found is not None
    assert "was removed" in found.text
