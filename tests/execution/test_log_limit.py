"""A log that grows without end is cut in its middle, under the hands of who writes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vbench.execution import log_limit
from vbench.execution.log_limit import LogLimit

NOTE = re.compile(rb"\n\[vbench: (\d+) bytes of output were left out here\]\n")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few bytes that each can be looked at."""
    monkeypatch.setattr(log_limit, "MOST_BYTES", 1000)
    monkeypatch.setattr(log_limit, "HEAD_BYTES", 200)
    monkeypatch.setattr(log_limit, "TAIL_BYTES", 300)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def writer(log: Path) -> Iterator[int]:
    """Appends to it, as a trial's standard output does."""
    with log.open("ab") as file:
        yield file.fileno()


def test_one_within_the_limit_is_left_alone(log: Path, writer: int) -> None:
    os.write(writer, b"x" * 1000)

    assert LogLimit(log).hold_at_end() == 0
    assert log.read_bytes() == b"x" * 1000


def test_head_and_tail_stay_and_what_is_left_out_is_counted(log: Path, writer: int) -> None:
    lines = [b"line %03d\n" % number for number in range(200)]  # 9 bytes each
    os.write(writer, b"".join(lines))

    limit = LogLimit(log)
    left_out = limit.hold_at_end()
    os.write(writer, b"last words\n")

    # The head ends with a whole line: 22 of them, 198 bytes; the tail is 300 bytes.
    head, count, tail = NOTE.split(log.read_bytes())
    assert head == b"".join(lines[:22])
    assert tail == b"".join(lines)[-300:] + b"last words\n"
    assert left_out == int(count) == 1800 - 198 - 300


def test_a_second_cut_counts_on(log: Path, writer: int) -> None:
    limit = LogLimit(log)
    for _ in range(3):
        os.write(writer, b"0123456789\n" * 200)
        limit.next_look_t = 0.0
        limit.hold()

    head, count, tail = NOTE.split(log.read_bytes())
    assert len(head) == 198
    assert len(tail) == 300
    assert limit.left_out == int(count) == 3 * 2200 - 198 - 300


def test_what_stands_before_is_not_touched(log: Path, writer: int) -> None:
    os.write(writer, b"another attempt's\n" * 100)
    before = log.read_bytes()
    os.write(writer, b"z" * 5000)

    left_out = LogLimit(log, len(before)).hold_at_end()

    assert left_out == 5000 - 200 - 300
    assert log.read_bytes().startswith(before + b"z" * 200 + b"\n[vbench: ")


def test_a_log_that_is_not_there_is_no_problem(log: Path) -> None:
    assert LogLimit(log).hold_at_end() == 0


def test_it_can_be_cut_while_it_is_written(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_limit, "MOST_BYTES", 100_000)
    program = "import os\nfor number in range(200_000): os.write(1, b'%08d\\n' % number)"
    limit = LogLimit(log)
    with log.open("ab") as output, subprocess.Popen([sys.executable, "-S", "-c", program], stdout=output) as child:
        while child.poll() is None:
            limit.next_look_t = 0.0
            limit.hold()
    with log.open("ab") as output:
        output.write(b"last words\n")
    limit.hold_at_end()

    head, count, tail = NOTE.split(log.read_bytes())
    assert head == b"".join(b"%08d\n" % number for number in range(22))
    assert tail.endswith(b"last words\n")  # what is written in the moment of a cut may be lost, what comes later isn't
    assert int(count) > 0
    assert log.stat().st_size <= 100_000
