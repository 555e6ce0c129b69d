"""Secrets in what engines write themselves, their logs: overwritten where they stand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vbench.records.redaction import KNOWN, secret_spans

_CHUNK = 1024**2
_BEFORE, _AFTER = 512, 32 * 1024
"""What is looked at besides a chunk: the name before a value, the rest of a secret that begins in it."""
_EARLIER_S = 2.0


def hide_secrets_in(path: Path) -> int:
    """Overwrite every secret in a file with as many `*`, so that whatever else writes there isn't disturbed and no
    other byte moves. Returns how many; a file that can't be read or written is left as it is."""
    values = [one.encode("utf-8", "surrogateescape").decode("latin-1") for one in KNOWN.values]
    hidden = 0
    with suppress(OSError):
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            for start in _chunks(fd):
                for begin, end in _found(fd, start, values):
                    os.pwrite(fd, b"*" * (end - begin), begin)
                    hidden += 1
        finally:
            os.close(fd)
    return hidden


def _chunks(fd: int) -> Iterator[int]:
    """Where pieces of the file begin that hold data; the holes of a sparse one are passed over."""
    at = 0
    while True:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:  # no data from here on
            return
        yield at
        at += _CHUNK


def _found(fd: int, start: int, values: list[str]) -> list[tuple[int, int]]:
    origin = max(0, start - _BEFORE)
    # One character for each byte: places in the text are places in the file.
    text = os.pread(fd, start - origin + _CHUNK + _AFTER, origin).decode("latin-1")
    spans = ((origin + begin, origin + end) for begin, end in secret_spans(text, values))
    return [(begin, end) for begin, end in spans if start <= begin < start + _CHUNK]


class Logs:
    """The logs of a run while a session lasts. A session that was killed may have left some as the engine wrote them:
    those that changed since the last record was stored."""

    def __init__(self, folder: Path, records: Path) -> None:
        self.folder = folder
        self._done: dict[str, int] = {}  # by name: paths of many thousand logs would take megabytes
        self._since = records.stat().st_mtime - _EARLIER_S if records.exists() else 0.0

    def begin(self) -> None:
        """Look through what an earlier session left."""
        for path in self._all():
            with suppress(OSError):
                self._done[path.name] = path.stat().st_mtime_ns
                if path.name == "keeper.log" or path.stat().st_mtime >= self._since:
                    self.look(path)

    def look(self, path: Path) -> None:
        """Look through one of them."""
        hide_secrets_in(path)
        with suppress(OSError):
            self._done[path.name] = path.stat().st_mtime_ns

    def end(self) -> None:
        """Look through those that were written to since."""
        for path in self._all():
            with suppress(OSError):
                if self._done.get(path.name) != path.stat().st_mtime_ns:
                    self.look(path)

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob("*.log"))
