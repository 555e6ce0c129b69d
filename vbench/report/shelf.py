"""Where reports stand: `reports/<name>/`, the latest of that name on top, an earlier one of another run below it in
`reports/<name>/<run id>/`. Nothing is lost when the next run of a sweep is reported.

`report.json` says what a folder holds: which runs, which files, and the answer for other programs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from vbench.errors import StoreError, UsageError
from vbench.records.runs import RunFolder, read_json
from vbench.records.store import storage_advice

CONTENTS = "report.json"
_LONGEST = 100


def name_of(runs: Sequence[RunFolder]) -> str:
    """The sweep's name; of several runs their sweeps' (`demo+t4`), and how many where a sweep has more than one.

    >>> name_of([RunFolder(Path("r/a/1")), RunFolder(Path("r/b/1")), RunFolder(Path("r/b/2"))])
    'a+b+3-runs'
    """
    sweeps = list(dict.fromkeys(run.sweep for run in runs))
    if len(runs) == 1:
        return sweeps[0]
    shown = "+".join(sweeps + ([f"{len(runs)}-runs"] if len(sweeps) < len(runs) else []))
    encoded = shown.encode("utf-8", "replace")
    if len(encoded) <= _LONGEST:
        return shown
    return f"{encoded[: _LONGEST - 20].decode('utf-8', 'ignore')}…+{len(runs)}-runs"


def checked_name(name: str) -> str:
    """A name that somebody gave. Raises UsageError where it can't be a folder's."""
    if name in (".", "..") or "/" in name or "\0" in name or len(name.encode("utf-8", "replace")) > 200:
        raise UsageError(f"{name[:80]!r} can't be the name of a folder: give --name a plain word")
    return name


def id_of(runs: Sequence[RunFolder]) -> str:
    """What tells a report from others of the same name: the run's id; of several a digest of their names."""
    if len(runs) == 1:
        return runs[0].run_id
    names = "\n".join(sorted(f"{run.sweep}/{run.run_id}" for run in runs))
    return f"{len(runs)}-runs-{hashlib.sha256(names.encode('utf-8', 'replace')).hexdigest()[:8]}"


def clear(folder: Path, report_id: str, coming: Iterable[str]) -> Path | None:
    """Make room for a report: one of other runs moves to a folder of its own; of one of the same runs, the files that
    don't come again (`coming`: relative to the folder) are removed. Returns where an earlier report went, if it did.

    A folder that doesn't say what it holds is left as it is. Raises StoreError.
    """
    held = _held(folder)
    if held is None:
        return None
    earlier, files = held
    try:
        if earlier != report_id:
            return _move(folder, earlier, files)
        for name in set(files) - set(coming):  # such as a plot that the newer report hasn't
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{folder} can't be cleared: {error.strerror}; {storage_advice(error)}") from error
    return None


def _move(folder: Path, earlier: str, files: Sequence[str]) -> Path:
    away = folder / earlier
    for name in [*files, CONTENTS]:  # what says it last: a move that was cut short goes on the next time
        if (folder / name).is_file():
            (away / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).replace(away / name)
    return away


def _held(folder: Path) -> tuple[str, list[str]] | None:
    """The id and the files of the report in a folder; None where nothing readable says so, or it names other places."""
    held: dict[str, Any] = {}
    with suppress(StoreError):
        held = read_json(folder / CONTENTS)
    report_id, files = held.get("id"), held.get("files")
    if not isinstance(report_id, str) or not isinstance(files, dict):
        return None
    names = [name for value in files.values() for name in (value if isinstance(value, list) else [value])]
    if not all(isinstance(name, str) and _is_inside(name) for name in (*names, report_id)):
        return None
    return report_id, names


def _is_inside(name: str) -> bool:
    path = Path(name)
    return bool(name) and "\0" not in name and not path.is_absolute() and ".." not in path.parts


def encoded(summary: Mapping[str, Any]) -> bytes:
    """`report.json`."""
    return (json.dumps(summary, ensure_ascii=False, allow_nan=False, indent=2) + "\n").encode("utf-8", "replace")
