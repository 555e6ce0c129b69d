"""Output in a locale that can't show all that we print."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys

import pytest

from vbench.cli.streams import make_streams_safe


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "<= 546 tok/s x1.10 - 3 *"),
        ("latin-1", "<= 546 tok/s \xd71.10 - 3 *"),
        ("utf-8", "≤ 546 tok/s ×1.10 – 3 ★"),
    ],
)
def test_what_a_locale_lacks_is_said_in_what_it_has(monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, write_through=True))
    make_streams_safe()
    sys.stdout.write("≤ 546 tok/s ×1.10 – 3 ★")
    assert raw.getvalue().decode(encoding) == shown


def test_what_has_nothing_like_it_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    make_streams_safe()
    sys.stdout.write("模型 \ud800 🙂")
    assert raw.getvalue() == b"?? ? ?"


def test_a_terminal_that_is_closed_is_written_to_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        make_streams_safe()
        assert sys.stdout.isatty()
        print("seen", flush=True)
        assert os.read(ours, 100) == b"seen\r\n"
        os.close(ours)
        print("unseen", flush=True)
        with pytest.raises(OSError, match="Input/output error"):
            os.write(theirs, b"as it would be")


def test_closed_descriptors_are_no_files_of_ours() -> None:
    script = """
import os, sys
from vbench.cli.streams import make_streams_safe
make_streams_safe()
first = os.open(sys.argv[1], os.O_RDONLY)
where = [os.readlink(f"/proc/self/fd/{fd}") for fd in (0, 1, 2)]
sys.exit(0 if first > 2 and where == ["/dev/null"] * 3 else 1)
"""
    words = ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', sys.executable, "-c", script, __file__]
    assert subprocess.run(words, check=False).returncode == 0
