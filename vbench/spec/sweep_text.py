"""The text of a sweep file, from the disk."""

from __future__ import annotations

import os
from pathlib import Path

from vbench.errors import Problem, SpecError, UsageError
from vbench.plain_file import open_plain
from vbench.spec.suggest import closest

MAX_FILE_BYTES = 1024**2


def read_sweep_text(path: Path) -> str:
    """A sweep file's text. Raises SpecError where it is none, UsageError where the file isn't there."""
    try:
        content = read_plain(path, MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such sweep file{_near_file(path)}") from None
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror or error}") from error
    if len(content) > MAX_FILE_BYTES:
        raise SpecError(str(path), [Problem(message="larger than 1 MiB: this is not a sweep file")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        wrong = Problem(message="not UTF-8 text", line=line, hint="save the file as UTF-8")
        raise SpecError(str(path), [wrong]) from error


def read_plain(path: Path, most: int) -> bytes:
    """The first `most` bytes of a file. Raises OSError, as `open_plain`."""
    with open_plain(path) as file:
        return file.read(most)


def names_in(folder: Path) -> list[str]:
    """What a folder holds, in order; nothing where it can't be read."""
    try:
        return sorted(os.listdir(folder))
    except (OSError, ValueError):
        return []


def _near_file(path: Path) -> str:
    """`; did you mean sweeps/t4.yaml?`, or what sweep files there are."""
    folders = dict.fromkeys([path.parent, path.parent / "sweeps", Path("sweeps")])
    there = {}
    for folder in folders:
        for suffix in ("*.yaml", "*.yml"):
            there.update({str(one): one.stem for one in sorted(folder.glob(suffix))})
    near = closest(path.stem, there.values())
    if near is not None:
        return f"; did you mean {next(name for name, stem in there.items() if stem == near)}?"
    return f"; there is {', '.join(list(there)[:5])}" if there else ""
