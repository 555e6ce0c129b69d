"""Limits put on single processes of a test, and taken back."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest


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
    """The process can start no further one: by a control group, as the system's own limit doesn't hold for root."""
    if os.geteuid() != 0:
        before = resource.prlimit(pid, resource.RLIMIT_NPROC)
        resource.prlimit(pid, resource.RLIMIT_NPROC, (1, before[1]))
        try:
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_NPROC, before)
        return
    with _own_group(pid, "pids", {"pids.max": "1"}):
        yield


@contextlib.contextmanager
def of_memory(pid: int, mib: int) -> Iterator[None]:
    """The process and all that it starts have so much memory together; who wants more is killed by the kernel."""
    limit = str(mib << 20)
    if not re.search(r"^SwapTotal: +0 kB$", Path("/proc/meminfo").read_text(encoding="utf-8"), re.MULTILINE):
        pytest.skip("this machine has swap: what is killed here is written there instead")
    with _own_group(pid, "memory", {"memory.max": limit, "memory.limit_in_bytes": limit}):
        yield


@contextlib.contextmanager
def _own_group(pid: int, controller: str, settings: Mapping[str, str]) -> Iterator[None]:
    """Move the process to a control group with what it knows of these settings; skips where there is none to be had."""
    before = _group_of(pid, controller)
    group = before / f"vbench-test-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        known = [name for name in settings if (group / name).exists()]
        try:
            for name in known:
                (group / name).write_text(settings[name])
            (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            pytest.skip(f"no process can be moved to a control group here: {error}")
        if not known:
            pytest.skip(f"control groups here don't limit {controller}")
        yield
    finally:
        _empty(group, before)


def _group_of(pid: int, controller: str) -> Path:
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()]
    for _, names, path in lines:
        if controller in names.split(","):
            return Path("/sys/fs/cgroup", controller, path.lstrip("/"))
    return Path("/sys/fs/cgroup", next((path for _, names, path in lines if not names), "/").lstrip("/"))


def _empty(group: Path, into: Path) -> None:
    end = time.monotonic() + 120.0
    while (pids := (group / "cgroup.procs").read_text().split()) and time.monotonic() < end:
        for pid in pids:
            with contextlib.suppress(OSError):
                (into / "cgroup.procs").write_text(pid)
        time.sleep(0.01)
    group.rmdir()


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
