"""Limits put on single processes of a test, and taken back."""

from __future__ import annotations

import contextlib
import os
import resource
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_PIDS = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))


@contextlib.contextmanager
def of_files(pid: int) -> Iterator[None]:
    """The process can open no further file."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = set(map(int, os.listdir(f"/proc/{pid}/fd")))
    lowest_free = min(set(range(len(taken) + 1)) - taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def of_processes(pid: int) -> Iterator[None]:
    """The process can start no further one: by a cgroup, as the system's own limit doesn't hold for root."""
    if os.geteuid() != 0:
        before = resource.prlimit(pid, resource.RLIMIT_NPROC)
        resource.prlimit(pid, resource.RLIMIT_NPROC, (1, before[1]))
        try:
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_NPROC, before)
        return
    with _own_group(pid) as group:
        (group / "pids.max").write_text("1")
        try:
            yield
        finally:
            (group / "pids.max").write_text("max")


@contextlib.contextmanager
def _own_group(pid: int) -> Iterator[Path]:
    """A cgroup with this process alone; skips the test where there is none to be had."""
    for root in _PIDS:
        group = root / f"vbench-test-{uuid.uuid4().hex[:8]}"
        with contextlib.suppress(OSError):
            group.mkdir()
            break
    else:
        pytest.skip("no cgroup can be made here")
    before = _group_of(pid, group.parent)
    try:
        try:
            if not (group / "pids.max").exists():
                pytest.skip("cgroups here don't count processes")
            (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            pytest.skip(f"no process can be moved to a cgroup here: {error}")
        yield group
        (before / "cgroup.procs").write_text(str(pid))
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def _group_of(pid: int, root: Path) -> Path:
    lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    names = {line.split(":")[1]: line.split(":")[2] for line in lines}
    return root / names.get("pids", names.get("", "/")).lstrip("/")


@contextlib.contextmanager
def freezer() -> Iterator[Callable[[int | None], None]]:
    """What freezes a process, so that no signal ends it, until all are thawed; skips where there is no such cgroup (the
    second version's let a frozen process be killed)."""
    group = Path("/sys/fs/cgroup/freezer") / f"vbench-test-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
        (group / "freezer.state").write_text("FROZEN")
    except OSError as error:
        pytest.skip(f"no process can be frozen here: {error}")

    def freeze(pid: int | None) -> None:
        if pid is not None:
            (group / "cgroup.procs").write_text(str(pid))

    try:
        yield freeze
    finally:
        (group / "freezer.state").write_text("THAWED")
        end = time.monotonic() + 120.0
        while (group / "cgroup.procs").read_text() and time.monotonic() < end:
            time.sleep(0.01)
        group.rmdir()
