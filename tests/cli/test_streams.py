"""Output in a locale that can't show all that we print."""

from __future__ import annotations

import io
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
