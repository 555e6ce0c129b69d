"""Where a configuration's numbers come from, in the comments of what is pasted: who finds it in a notebook in a month
has no report beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vbench.analysis.ranking import objective_value
from vbench.analysis.token_work import has_drawn_lengths
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.report.contents import RunContents
from vbench.report.marks import mark_of
from vbench.report.recipe_parts import Provenance, limits_of
from vbench.report.text import shorten, show_metric

_LIMIT = 160
"""Characters of a line."""
_RELEASE = re.compile(r"\d+(\.\d+)+(\.post\d+)?", re.ASCII)
_DISTRIBUTION = re.compile(r"[A-Za-z0-9]+([-_.][A-Za-z0-9]+)*", re.ASCII)


def provenance_of(
    record: TrialRecord, folder: RunFolder, contents: RunContents, trial: int | None = None
) -> Provenance:
    """The trial with its number, its prompts, where it ran, and what to install. `trial`: its number in that run, where
    several runs stand on one page."""
    number = record.trial if trial is None else trial
    is_fake = "fake" in (record.engine.name, record.config.get("engine"))
    mark = mark_of(contents, is_fake=is_fake)
    lines = [
        f"Trial {number} of {folder.sweep}/{folder.run_id}: {_value(record, contents)}, {_prompts(record)}",
        f"On {where(record, contents)}",
        *([] if is_fake else [_install(record, contents)]),
        *([] if mark is None else [mark.text]),
    ]
    tokens = record.prompt_set.output_tokens
    return Provenance(
        lines=tuple(shorten(line, _LIMIT) for line in lines if line),
        output_tokens=tokens,
        is_exact=not has_drawn_lengths(record),
        distribution=_distribution(record, contents),
        limits=limits_of(record),
    )


def where(record: TrialRecord, contents: RunContents) -> str:
    """`AMD EPYC, vllm 0.32.0`; `2 × Tesla T4 (kaggle-2xt4), vllm 0.11.0`; of an emulated card, what stood in for it."""
    machine = machine_of(record, contents) or "an unknown machine"
    return f"{machine}, {record.engine.name} {record.engine.version or '(version not recorded)'}"


def machine_of(record: TrialRecord, contents: RunContents) -> str:
    """`2 × Tesla T4 (kaggle-2xt4)`; empty where it isn't known."""
    gpus = [str(one.get("name") or "GPU") for one in record.hardware.get("gpus") or () if isinstance(one, Mapping)]
    counts = {name: gpus.count(name) for name in gpus}
    cards = ", ".join(name if count == 1 else f"{count} × {name}" for name, count in counts.items())
    profile = str(record.hardware.get("profile") or "")
    machine = cards or _cpu(contents.machine)
    if not profile or profile in ("cpu", "auto", "local-gpu"):
        return machine
    return f"{machine} ({profile})" if machine else profile


def _value(record: TrialRecord, contents: RunContents) -> str:
    return show_metric(contents.objective.metric, objective_value(record, contents.objective))


def _prompts(record: TrialRecord) -> str:
    prompts = record.prompt_set
    most = "up to " if has_drawn_lengths(record) else ""
    tokens = "until they stop" if prompts.output_tokens is None else f"{most}{prompts.output_tokens} tokens each"
    return f"{prompts.num_prompts} prompts of {prompts.source}, {tokens}"


def _install(record: TrialRecord, contents: RunContents) -> str:
    """Only for a release: a build of someone's own can't be installed by its number."""
    version = record.engine.version or ""
    distribution = _distribution(record, contents)
    if not _RELEASE.fullmatch(version) or not _DISTRIBUTION.fullmatch(distribution):
        return ""
    return f"pip install {distribution}=={version}"


def _distribution(record: TrialRecord, contents: RunContents) -> str:
    return str(contents.machine.get("engine_distribution") or record.engine.name)


def _cpu(machine: Mapping[str, Any]) -> str:
    name = machine.get("cpu")
    name = name.get("model") if isinstance(name, Mapping) else name
    return name if isinstance(name, str) else ""
