"""The `quality` section of a sweep file: what its keys may hold, and what they need of the rest of the file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from vbench.errors import SpecError
from vbench.quality.texts import read_texts
from vbench.spec.constraints import metric_bounded_by, parse_constraint
from vbench.spec.fields import NotNegative, Positive, Share, Text, wrong
from vbench.spec.measure_types import QualitySpec
from vbench.spec.problems import Problems, shown
from vbench.spec.suggest import did_you_mean
from vbench.spec.sweep_text import names_in
from vbench.spec.types import Constraint, Objective, SweepSpec

QUALITY_METRICS = ("nll_per_token", "nll_increase", "greedy_agreement")
BOUNDS = {"max_nll_increase": "nll_increase <= {:.12g}", "min_greedy_agreement": "greedy_agreement >= {:.12g}"}
"""By key, the constraint that each bound is."""
_COMPARED = QUALITY_METRICS[1:]
_SUFFIXES = (".jsonl", ".json", ".txt")
_WORDS = ("never", "finalists", "always")
_REFERENCE_HINT = "add `baseline: {}` (the engine as it comes), or name another reference there"


def _checked_when(value: object) -> object:
    if value is not None and value not in _WORDS:
        near = did_you_mean(value, _WORDS) if isinstance(value, str) else ""
        raise wrong(f"expected one of {', '.join(_WORDS)}, got {shown(value)}", near)
    return value


When = Annotated[Literal["never", "finalists", "always"], BeforeValidator(_checked_when)]


class QualitySection(BaseModel):
    """Whether the answers are as good as the reference configuration's, the baseline's."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())

    when: When | None = Field(
        default=None,
        description="Which trials are checked besides the baseline. Default: finalists where the search has finals.",
        examples=["always"],
    )
    texts: Text | None = Field(
        default=None, description="One text a line, or JSON lines with `text`. Default: vbench's own.",
        examples=["texts.jsonl"],
    )  # fmt: skip
    num_texts: Positive = Field(default=QualitySpec().num_texts, description="Score at most so many of the texts.")
    greedy_prompts: NotNegative = Field(
        default=QualitySpec().greedy_prompts, description="Answer so many of the prompts greedily, to compare."
    )
    greedy_tokens: Positive = Field(default=QualitySpec().greedy_tokens, description="Tokens of each such answer.")
    max_nll_increase: Share | None = Field(
        default=None,
        description="A constraint: the negative log-likelihood per token may be so much larger than the reference's.",
        examples=["2%"],
    )
    min_greedy_agreement: Share | None = Field(
        default=None,
        description="A constraint: at least this share of the reference's greedy tokens before the first difference.",
        examples=[0.99],
    )


def read_quality(
    section: QualitySection, folder: Path, *, baseline: Any, has_finals: bool, constraints: Sequence[str],
    objectives: Iterable[Objective], problems: Problems,
) -> QualitySpec:  # fmt: skip
    """The spec, with `when` decided. What is wrong is added to `problems`; a relative path counts from `folder`."""
    used = _metrics_used(constraints, objectives)
    bounds = [name for name in BOUNDS if getattr(section, name) is not None]
    when = _when(section, used, is_bound=bool(bounds), has_finals=has_finals, problems=problems)
    compared = [*(f"quality.{name}" for name in bounds), *(at for at, name in used.items() if name in _COMPARED)]
    if baseline is None and compared:
        problems.add(compared[0], "there is no reference to compare with", _REFERENCE_HINT)
    if section.min_greedy_agreement is not None and section.greedy_prompts == 0:
        problems.add("quality.min_greedy_agreement", "no prompt is answered greedily", "leave out greedy_prompts: 0")
    texts = None if section.texts is None else _texts(section.texts, folder, problems)
    values = section.model_dump(exclude={"when", "texts"})
    return QualitySpec(when=when, texts=texts, **values)


def _when(
    section: QualitySection, used: dict[str, str], *, is_bound: bool, has_finals: bool, problems: Problems
) -> Literal["never", "finalists", "always"] | None:
    """None stays None where nothing was asked for: what that means may change with the number of finalists."""
    if used:
        at, name = next(iter(used.items()))
        if section.when in ("never", "finalists"):
            message = f"{at} needs {name} of every trial"
            problems.add("quality.when", message, "write always, or bound the finalists: max_nll_increase: 2%")
        return "always"
    if section.when == "finalists" and not has_finals:
        message = "the search has no finals"
        problems.add("quality.when", message, "write always, or add finals: `search: {finalists: 3}`")
    if section.when == "never" and is_bound:
        problems.add("quality.when", "a bound is set, and never looked at", "write finalists or always")
    if section.when is not None:
        return section.when
    if is_bound:
        return "finalists" if has_finals else "always"
    return None


def _metrics_used(constraints: Sequence[str], objectives: Iterable[Objective]) -> dict[str, str]:
    """Metrics of quality that the file's constraints and objectives name, by the place."""
    used: dict[str, str] = {}
    for index, text in enumerate(constraints):
        name = metric_bounded_by(text)
        if name is not None and name in QUALITY_METRICS:
            used[f"constraints.{index}"] = name
    of_objectives = [one.metric for one in objectives if one.metric in QUALITY_METRICS]
    return {**used, "objective": of_objectives[0]} if of_objectives else used


def _texts(text: str, folder: Path, problems: Problems) -> Path:
    path = Path(os.path.abspath(folder / os.path.expanduser(text)))
    if not os.path.isfile(path):
        near = did_you_mean(path.name, [name for name in names_in(path.parent) if name.endswith(_SUFFIXES)])
        problems.add("quality.texts", f"no such file: {path}", near or "leave it out for vbench's own texts")
        return path
    try:
        read_texts(path)
    except SpecError as error:
        for one in error.problems:
            problems.add("quality.texts", f"{path}:{one.line or 1}: {one.message}", one.hint)
    return path


def checks_quality(spec: SweepSpec) -> Literal["never", "finalists", "always"]:
    """Which trials of a sweep are checked."""
    if spec.quality.when is not None:
        return spec.quality.when
    return "finalists" if spec.parameters and spec.search.num_finalists else "never"


def quality_bounds(spec: SweepSpec) -> list[Constraint]:
    """The bounds of the section as constraints, for the trials that are checked."""
    values = {name: getattr(spec.quality, name) for name in BOUNDS}
    return [parse_constraint(BOUNDS[name].format(value), ()) for name, value in values.items() if value is not None]
