"""Whose misfortune the kernel's out-of-memory killer was."""

from __future__ import annotations

from pathlib import Path

import pytest

from vbench.execution import oom_kills


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of control groups; the whole machine had 7 kills."""
    (tmp_path / "membership").write_text("4:memory:/old\n0::/user.slice/mine\n")
    monkeypatch.setattr(oom_kills, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(oom_kills, "_GROUPS", tmp_path)
    monkeypatch.setattr(oom_kills, "oom_kills_on_this_machine", lambda: 7)
    return tmp_path


def test_those_of_our_own_group_count(groups: Path) -> None:
    group = groups / "user.slice" / "mine"
    group.mkdir(parents=True)
    (group / "memory.events").write_text("low 0\nhigh 2\nmax 5\noom 1\noom_kill 3\noom_group_kill 0\n")

    assert oom_kills.kernel_oom_kills() == 3


@pytest.mark.parametrize("events", [None, "low 0\n", "oom_kill many\n", "nonsense\n"])
def test_else_the_whole_machines(groups: Path, events: str | None) -> None:
    if events is not None:
        group = groups / "user.slice" / "mine"
        group.mkdir(parents=True)
        (group / "memory.events").write_text(events)

    assert oom_kills.kernel_oom_kills() == 7


def test_cgroup_v1_has_none_of_its_own(groups: Path) -> None:
    (groups / "membership").write_text("4:memory:/old\n")

    assert oom_kills.kernel_oom_kills() == 7


def test_it_can_be_asked_here() -> None:
    assert oom_kills.kernel_oom_kills() >= 0
