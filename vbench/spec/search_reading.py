"""The `search`, `objective` and `deadlines` sections of a sweep file, where they need more than to be checked alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vbench.spec.model import SweepFile
from vbench.spec.problems import Problems
from vbench.spec.prompt_types import PromptSpec
from vbench.spec.search_section import ObjectiveSection
from vbench.spec.types import Deadlines, Objective, SearchSpec

THROUGHPUTS = ("output_throughput_tok_s", "total_token_throughput_tok_s", "request_throughput_req_s")
"""Metrics that grow as a trial takes less time: what a trial can be stopped early by."""
Location = tuple[int | str, ...]
Written = Callable[[Location], Location]
"""From a place of what is checked to the place in the file, where a list of objectives stands."""


def objectives_apart(raw: dict[str, Any]) -> tuple[dict[str, Any], Written]:
    """A list of objectives as its first and the others, which is how they are kept; and where in the file a place of
    the result was written, for what is wrong there."""
    given, more = raw.get("objective"), raw.get("more_objectives")
    if not isinstance(given, list) or not given:
        return raw, lambda at: at
    apart = {**raw, "objective": given[0]}
    if more is None or isinstance(more, list):
        apart["more_objectives"] = [*given[1:], *(more or ())]
    num_more = len(given) - 1

    def written(at: Location) -> Location:
        if at[0] == "objective":
            return ("objective", 0, *at[1:])
        if at[0] == "more_objectives" and len(at) > 1 and isinstance(at[1], int):
            index = at[1]
            return ("objective", index + 1, *at[2:]) if index < num_more else (at[0], index - num_more, *at[2:])
        return at

    return apart, written


def read_objectives(file: SweepFile, written: Written, problems: Problems) -> tuple[Objective, tuple[Objective, ...]]:
    """The first objective and the others; each metric may be one of them once."""
    first = _objective(file.objective)
    others = tuple(_objective(section) for section in file.more_objectives)
    seen = {first.metric}
    for index, one in enumerate(others):
        if one.metric in seen:
            path = ".".join(str(part) for part in written(("more_objectives", index)))
            problems.add(path, f"{one.metric} is an objective already", "name each metric once, and in one direction")
        seen.add(one.metric)
    return first, others


def _objective(section: ObjectiveSection) -> Objective:
    if section.maximize is not None:
        return Objective(metric=section.maximize, direction="maximize")
    return Objective(metric=section.minimize or "", direction="minimize")


def read_search(file: SweepFile, prompts: PromptSpec, others: tuple[Objective, ...], problems: Problems) -> SearchSpec:
    """The search; several objectives and the number of prompts decide what goes with what."""
    section = file.search
    values = section.model_dump(exclude={"timeout"})
    if others and section.method == "cmaes":
        problems.add(
            "search.method", "cmaes has one objective, and this sweep has several", "use auto, nsga2, tpe or random"
        )
    if others and section.prune:
        message = "a trial that can't catch the best of the first objective may be the best of another"
        problems.add("search.prune", message, "leave it out where there are several objectives")
    if others and section.prune is None:
        values["prune"] = False
    is_throughput = file.objective.maximize in THROUGHPUTS
    if section.prune and not others and not is_throughput:
        message = "only a throughput that is maximized shows before the end of a trial that it can't catch the best"
        problems.add("search.prune", message, "leave it out")
    if section.finalists == 1:
        message = "one finalist alone has nothing to be compared with"
        problems.add("search.finalists", message, "write 0 for none, or 2 and more")
    known = num_prompts(prompts)
    if known is not None and section.probe_prompts >= known:
        message = f"must be less than the prompts, of which there are at most {known}, got {section.probe_prompts}"
        problems.add("search.probe_prompts", message, _probe_hint(known))
    return SearchSpec(timeout_s=section.timeout, **values)


def read_deadlines(file: SweepFile) -> Deadlines:
    """How long a step of a trial may take."""
    one = file.deadlines
    return Deadlines(load_s=one.load, pass_s=one.pass_, close_s=one.close, release_s=one.release)


def _probe_hint(known: int) -> str:
    return "leave it out" if known < 2 else f"such as {max(1, known // 8)}, or leave it out"


def num_prompts(prompts: PromptSpec) -> int | None:
    """How many prompts there are at most, as far as the sweep file says; None where a file's length decides."""
    counts = [prompts.limit, None if prompts.synthetic is None else prompts.synthetic.count]
    return min((one for one in counts if one is not None), default=None)
