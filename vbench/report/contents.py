"""A run's files, read for showing. What is missing or broken is a problem on the page, not the report's end."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from vbench.analysis.many import read_records
from vbench.errors import StoreError
from vbench.metrics import metric_names
from vbench.records.runs import RunFolder, read_json
from vbench.records.store import ReadResult, RecordStore
from vbench.spec.redacted_text import text_without_secrets
from vbench.spec.types import Objective
from vbench.sweep import ledger
from vbench.sweep.ledger import SessionLine

DEFAULT_OBJECTIVE = Objective(metric="output_throughput_tok_s", direction="maximize")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContents:
    """A run, read. Files that are missing or broken are empty here and named in `problems`."""

    result: ReadResult
    run: dict[str, Any]
    machine: dict[str, Any]
    sweep_yaml: str
    objective: Objective
    more_objectives: tuple[Objective, ...]
    """Besides `objective`, which decides what is called the best."""
    sessions: tuple[SessionLine, ...]
    """The run's ledger; empty for a run of before there was one."""
    problems: tuple[str, ...]

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All of them, the one that decides first."""
        return (self.objective, *self.more_objectives)


def read_run(folder: RunFolder, pool: Executor | None = None) -> RunContents:
    """Read whatever of the run can be read. `pool`: processes that may help with a large one. Raises StoreError only
    when the records themselves can't be opened."""
    problems: list[str] = []
    loaded: dict[str, dict[str, Any]] = {}
    for path in (folder.run_json, folder.machine_json):
        try:
            loaded[path.name] = read_json(path)
        except StoreError as error:
            problems.append(str(error))
    try:
        text = folder.sweep_yaml.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        text = ""
        problems.append(f"{folder.sweep_yaml} can't be read: {error.strerror}")
    run = loaded.get("run.json", {})
    objective, more = objective_of(run), _more_objectives(run)
    store = RecordStore(folder.trials_jsonl)
    result = read_records(store, (objective or DEFAULT_OBJECTIVE, *more), pool=pool)
    if run and objective is None:
        problems.append(f"{folder.run_json} names no known objective: trials are ranked by {DEFAULT_OBJECTIVE.metric}")
    sessions: list[SessionLine] = []
    try:
        lines = ledger.read(folder)
        sessions = ledger.made_up(lines, result.records) if lines else []
    except StoreError as error:
        problems.append(str(error))
    every = (*result.messages(), *problems)
    return RunContents(
        result=result,
        run=run,
        machine=loaded.get("machine.json", {}),
        sweep_yaml=text_without_secrets(text),  # a run of before it was stored so
        objective=objective or DEFAULT_OBJECTIVE,
        more_objectives=more,
        sessions=tuple(sessions),
        # Reports are shown to others: a path says which file of the run, not where this machine keeps its results.
        problems=tuple(one.replace(str(folder.path), f"{folder.sweep}/{folder.run_id}") for one in every),
    )


def objective_of(run: dict[str, Any]) -> Objective | None:
    """The objective in a `run.json`; None when it isn't one that this vbench knows."""
    return _objective(run.get("objective"))


def _more_objectives(run: dict[str, Any]) -> tuple[Objective, ...]:
    stored = run.get("more_objectives")
    found = map(_objective, stored if isinstance(stored, list) else ())
    return tuple(one for one in found if one is not None)


def _objective(stored: Any) -> Objective | None:
    if not isinstance(stored, dict) or stored.get("metric") not in metric_names():
        return None
    direction = stored.get("direction")
    if direction == "maximize" or direction == "minimize":  # noqa: PLR1714 -- so that the type checker sees the literal
        return Objective(metric=stored["metric"], direction=direction)
    return None
