"""Where a run keeps its files: `results/<sweep>/<run>/`. Names, lookup, the lock, and whole-file JSON.

sweep.yaml     the sweep file as it was read        trials.jsonl          the records (`store`)
machine.json   this machine and its versions        logs/0007.log         stdout and stderr of trial 7
run.json       what the run is and how it stands    samples/0007.csv      memory and power over time of trial 7
prompts.jsonl  the prompts as they were sent        pending.json          trials asked for and not yet stored
ledger.jsonl   what each session took               best.md               the best so far, ready to paste
run.lock       held while a vbench works on it      quality-texts.jsonl   texts whose likelihood is measured, if any is
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vbench.errors import StoreError, UsageError
from vbench.records import lock
from vbench.records.disk import advice_on, fsync_folder, storage_advice
from vbench.records.private import close_to_others
from vbench.records.redaction import clean_data

_RUN_ID = re.compile(r"(\d{8}-\d{6})(?:-(\d+))?", re.ASCII)
_HALF_WRITTEN = re.compile(r"\.[a-z-]+\.(?:jsonl?|md|yaml)\.\d+\.tmp", re.ASCII)
_MARKERS = ("run.json", "trials.jsonl")
"""A folder with one of these is a run."""
_MOST_SHOWN = 100
COMPARISON = "comparison"
"""What `run.json` has under `kind` where two configurations were measured in turns; other runs have no kind."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder. Nothing is created by naming a path; `logs/` and `samples/` come with `create`."""

    path: Path

    @property
    def sweep(self) -> str:
        """Name of the sweep: the folder above."""
        return self.path.parent.name

    @property
    def run_id(self) -> str:
        """`YYYYMMDD-HHMMSS` in UTC, with `-2`, `-3`, … for runs begun in the same second."""
        return self.path.name

    @property
    def sweep_yaml(self) -> Path:
        return self.path / "sweep.yaml"

    @property
    def machine_json(self) -> Path:
        return self.path / "machine.json"

    @property
    def run_json(self) -> Path:
        return self.path / "run.json"

    @property
    def trials_jsonl(self) -> Path:
        return self.path / "trials.jsonl"

    @property
    def prompts_jsonl(self) -> Path:
        return self.path / "prompts.jsonl"

    @property
    def pending_json(self) -> Path:
        return self.path / "pending.json"

    @property
    def ledger_jsonl(self) -> Path:
        return self.path / "ledger.jsonl"

    @property
    def best_md(self) -> Path:
        return self.path / "best.md"

    @property
    def lock_path(self) -> Path:
        return self.path / "run.lock"

    def log(self, trial: int) -> Path:
        """Where the trial's stdout and stderr go."""
        return self.path / "logs" / f"{trial:04d}.log"

    def samples(self, trial: int) -> Path:
        """Where the trial's memory and power samples go."""
        return self.path / "samples" / f"{trial:04d}.csv"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process. Raises StoreError, naming the other's pid, when it is held already."""
        with lock.held(self.lock_path):
            close_to_others(self.path)
            self._remove_half_written()
            yield

    def _remove_half_written(self) -> None:
        """What a killed vbench had written beside a file (`write_bytes_atomic`): nobody else is at work here."""
        with suppress(OSError):
            for path in self.path.iterdir():
                if _HALF_WRITTEN.fullmatch(path.name):
                    path.unlink()


def create(results_root: Path, sweep_name: str, now: datetime) -> RunFolder:
    """Make the folder of a new run, named by `now` in UTC. Raises UsageError for a name that can't be a folder's,
    StoreError when it can't be made, ValueError when `now` has no time zone."""
    if now.tzinfo is None:
        raise ValueError("now has no time zone: give datetime.now(UTC)")
    if sweep_name in ("", ".", "..") or "/" in sweep_name or "\0" in sweep_name or len(sweep_name.encode()) > 200:
        raise UsageError(f"{sweep_name[:80]!r} can't be the name of a folder: give the sweep a plain `name:`")
    stem, number = _next_name(results_root, now)
    while True:
        path = results_root / sweep_name / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir(parents=True)
            break
        except FileExistsError:
            if not path.parent.is_dir():  # a dangling link, say: the next number would fare no better
                raise StoreError(
                    f"{path.parent} is not a folder: move it away or choose another results folder"
                ) from None
            number += 1
        except OSError as error:
            raise StoreError(f"{path} can't be created: {advice_on(error)}") from error
    for name in ("logs", "samples"):
        try:
            (path / name).mkdir()
        except OSError as error:
            raise StoreError(f"{path / name} can't be created: {advice_on(error)}") from error
    return RunFolder(path)


def _next_name(results_root: Path, now: datetime) -> tuple[str, int]:
    """When the run begins, and its number among those of that second. The clock may have been set back since another
    run began: the new one is named after that, or `latest` would go on meaning the other."""
    stem = now.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    newest, number = max((_age_key(run.run_id) for run in find_runs(results_root)), default=("", 0))
    return (newest, number + 1) if newest > stem else (stem, 1)


def find_runs(results_root: Path) -> list[RunFolder]:
    """Every run under `results_root`, newest first by run id; folders with other names count as oldest."""
    runs = [RunFolder(path) for path in results_root.glob("*/*") if _is_run(path)]
    return sorted(runs, key=lambda run: (_age_key(run.run_id), run.sweep), reverse=True)


def resolve_run(results_root: Path, text: str) -> RunFolder:
    """The run meant by a path, `sweep/run`, `sweep` (its latest), a run id, or `""` (the latest that is no comparison).

    Raises UsageError, with what there is, when nothing or more than one thing fits.
    """
    runs = find_runs(results_root)
    for path in () if not text else (Path(os.path.expanduser(text)), results_root / text):
        folder = path.parent if path.name in _MARKERS and os.path.isfile(path) else path
        if _is_run(folder):
            return RunFolder(folder.resolve())
    if not runs:
        raise UsageError(f"there are no runs in {results_root}/: start one with `vbench sweep FILE`")
    if not text:
        return next((run for run in runs if not is_comparison(run)), runs[0])
    name = text.rstrip("/").removeprefix(f"{results_root}/")
    of_sweep = [run for run in runs if run.sweep == name]
    if of_sweep:
        return of_sweep[0]
    of_id = [run for run in runs if run.run_id == name]
    if len(of_id) > 1:
        several = ", ".join(f"{run.sweep}/{run.run_id}" for run in of_id)
        raise UsageError(f"{text!r} is the id of {len(of_id)} runs: say which of {several}")
    if of_id:
        return of_id[0]
    shown = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
    raise UsageError(f"no run {shown!r} in {results_root}/: {_suggestion(name, runs)}")


def is_comparison(run: RunFolder) -> bool:
    """Whether it is one of two configurations (`vbench compare --again`), by its run.json."""
    try:
        return read_json(run.run_json).get("kind") == COMPARISON
    except StoreError:
        return False


def _suggestion(text: str, runs: list[RunFolder]) -> str:
    names = [*dict.fromkeys(run.sweep for run in runs), *(f"{run.sweep}/{run.run_id}" for run in runs)]
    names += [run.run_id for run in runs]
    close = difflib.get_close_matches(text, names, n=3)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "there are " + ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _is_run(path: Path) -> bool:
    # os.path's, as pathlib's raises for a name that is too long and for a folder that mustn't be looked into.
    return any(os.path.isfile(path / marker) for marker in _MARKERS)


def _age_key(run_id: str) -> tuple[str, int]:
    match = _RUN_ID.fullmatch(run_id)
    return (match[1], int(match[2] or 1)) if match else ("", 0)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises StoreError when it is missing, unreadable or something else."""
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise StoreError(f"{path} is missing: the run folder is not complete") from error
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise StoreError(f"{path} holds no JSON object")
    return data


def write_json_atomic(path: Path, data: Mapping[str, Any]) -> None:
    """Replace `path` by `data`: a reader, or a crash, sees the old file or the new one. Raises StoreError, and
    ValueError for NaN or infinities. Secrets are hidden."""
    text = json.dumps(clean_data(data), allow_nan=False, ensure_ascii=False, indent=2) + "\n"
    write_bytes_atomic(path, text.encode("utf-8", "replace"))


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Replace the whole file: written beside it, fsynced, renamed over it. Raises StoreError and keeps the old one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise StoreError(f"{path} can't be written: {error.strerror}; {storage_advice(error)}") from error
