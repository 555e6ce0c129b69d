"""Several runs on one page: those that did the same work on the same hardware are ranked together, the others apart.

Measured under the same conditions means the same in all that `Kind` has. What else differs (when, which versions) is
said beside the ranking (`runs_section`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any

from vbench.analysis.answer import FAKE_ENGINE
from vbench.analysis.merged import as_any_trial, first_numbers, moved
from vbench.analysis.ranking import best
from vbench.metrics import metric_of
from vbench.outcome import Outcome
from vbench.records.identity import first_uid
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.records.store import ReadResult
from vbench.report.contents import RunContents
from vbench.report.marks import is_simulated
from vbench.report.subject import Member, Subject, Wishes

_JOINED = ("parameters", "constraints")
"""What of each `run.json` a merged page needs as if it were one run."""
_OF_EACH = ("status", "created_at", "num_trials_planned", "spent_s", "random_arm", "warm_start")
"""What says nothing of several runs together, even where it is alike in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What must be alike in two runs for their trials to be ranked together; the reader's word for each as its key."""

    numbers: str
    hardware: str
    machine: str
    model: str
    prompts: str
    objective: str
    constraints: str
    calling: str
    """Only where the objective depends on how requests are sent."""

    def differences(self, other: Kind) -> list[str]:
        """What is other, in words: `hardware`, `prompts`."""
        return [one.name for one in fields(self) if getattr(self, one.name) != getattr(other, one.name)]


def kind_of(contents: RunContents) -> Kind:
    """What decides which runs a run's trials may be ranked with."""
    records = contents.result.records
    first = next((one for one in records if one.origin == "baseline"), records[0] if records else None)
    config = first.config if first else {}
    target = contents.run.get("target")
    target = target if isinstance(target, dict) else {}
    objective = contents.objective
    is_of_load = metric_of(objective.metric).is_distribution or "goodput" in objective.metric
    calling = [config.get(name) for name in ("mode", "load", "goodput")] if is_of_load else []
    stored = contents.run.get("constraints")
    digest = contents.run.get("prompt_set_sha256") or (first.prompt_set.sha256 if first else "")
    return Kind(
        numbers=_numbers(contents, target),
        hardware=str(target.get("profile") or (first.hardware.get("profile") if first else "") or "not recorded"),
        machine=_machine(contents, target),
        model=str(config.get("model") or "not recorded"),
        prompts=str(digest),
        objective=f"{objective.direction} {objective.metric}",
        constraints=_text(sorted(map(str, stored)) if isinstance(stored, list) else stored or []),
        calling=_text(calling),
    )


def _numbers(contents: RunContents, target: dict[str, Any]) -> str:
    """Measured, or what else they are. An engine's name is in the records; of a run without one in machine.json."""
    records = contents.result.records
    if any(FAKE_ENGINE in (one.engine.name, one.config.get("engine")) for one in records):
        return "fake"
    if is_simulated(records):
        return "simulated"
    if not target.get("is_emulated"):
        return "fake" if not records and contents.machine.get("engine") == FAKE_ENGINE else "measured"
    return f"emulated {target.get('limit_bytes')} {_text(target.get('notes'))}"


def _machine(contents: RunContents, target: dict[str, Any]) -> str:
    """The hardware's name; with its cores where the engine runs on these."""
    machine = contents.machine
    cores = "" if machine.get("nvidia_gpus") else machine.get("cpus_allowed", machine.get("cpu_count", ""))
    return _text([target.get("machine", machine.get("cpu")), cores])


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def subjects_of(runs: Sequence[tuple[RunFolder, RunContents]], wishes: Wishes | None = None) -> tuple[Subject, ...]:
    """What the page is made of: a subject for each set of runs that may be ranked together, in the order given.

    One run alone keeps its trials' numbers. Of several, numbers differ over the whole page.
    """
    wishes = wishes or Wishes()
    runs = _without_copies(runs)
    if len(runs) == 1:
        return (Subject(folder=runs[0][0], contents=runs[0][1], wishes=wishes),)
    groups: dict[Kind, list[Member]] = {}
    for folder, contents in runs:
        groups.setdefault(kind_of(contents), []).append(Member(folder=folder, contents=contents))
    ordered = [_in_order(members) for members in groups.values()]
    highest = [_last(one) for one in chain.from_iterable(ordered)]
    adds = iter(first_numbers(highest))
    return tuple(_subject([replace(one, add=next(adds)) for one in members], wishes) for members in ordered)


def _without_copies(runs: Sequence[tuple[RunFolder, RunContents]]) -> list[tuple[RunFolder, RunContents]]:
    """Each run once, by its unique id: of two copies the one with more trials, which says that it is one."""
    kept: dict[str, tuple[RunFolder, RunContents]] = {}
    for number, (folder, contents) in enumerate(runs):
        uid = first_uid(contents.run) or str(number)
        other = kept.setdefault(uid, (folder, contents))
        if other[0] is folder:
            continue
        more, less = (folder, contents), other
        if len(contents.result.records) <= len(other[1].result.records):
            more, less = less, more
        note = f"{_name(less[0])} is a copy of {_name(more[0])}: it is left out, as its trials would count twice"
        kept[uid] = more[0], replace(more[1], problems=(*more[1].problems, note))
    return list(kept.values())


def _name(folder: RunFolder) -> str:
    return f"{folder.sweep}/{folder.run_id}"


def _in_order(members: Sequence[Member]) -> list[Member]:
    """Those whose best were measured again come first, as trials after the finals must be clearly ahead of these
    (`analysis.ranking`); else as they were begun."""

    def key(member: Member) -> tuple[bool, str]:
        finals = [one for one in member.contents.result.records if one.origin == "final"]
        is_remeasured = any(one.outcome is Outcome.COMPLETED for one in finals)
        return not is_remeasured, str(member.contents.run.get("created_at", ""))

    return sorted(members, key=key)


def _last(member: Member) -> int:
    return max((record.trial for record in member.contents.result.records), default=-1)


def _subject(members: Sequence[Member], wishes: Wishes) -> Subject:
    records = [record for one in members for record in moved(one.contents.result.records, one.add, one.name)]
    winner = members[0]
    if len(members) > 1:
        top = best(records, winner.contents.objective)
        winner = next((one for one in members if top is not None and top.trial in one.numbers), winner)
        records = _with_one_baseline(records, winner.numbers)
    contents = _merged(members, records)
    # What is to be pasted is named by the run that it is from.
    return Subject(folder=winner.folder, contents=contents, wishes=wishes, members=tuple(members))


def _with_one_baseline(records: list[TrialRecord], own: range) -> list[TrialRecord]:
    """The best is held against the baseline of its own run, where that has one: the others' are trials like any, or a
    gain would have the machine's changes between two runs in it."""
    baselines = [one.trial for one in records if one.origin == "baseline"]
    kept = next((trial for trial in baselines if trial in own), None)
    if kept is None:
        return records
    return [as_any_trial(one) if one.origin == "baseline" and one.trial != kept else one for one in records]


def _merged(members: Sequence[Member], records: list[TrialRecord]) -> RunContents:
    first = members[0].contents
    result = ReadResult(path=first.result.path, records=tuple(records))
    if len(members) == 1:
        return replace(first, result=result, run=_shifted_run(first.run, members[0].add))
    names = [member.name for member in members]
    contents = [member.contents for member in members]
    runs, machines = [one.run for one in contents], [one.machine for one in contents]
    return replace(
        first,
        result=result,
        run=_common(runs, names),
        machine=machines[0] if all(one == machines[0] for one in machines) else _common(machines, names),
        sweep_yaml=_sweep_files(members),
        more_objectives=tuple(one for one in first.more_objectives if all(one in each.objectives for each in contents)),
        sessions=(),
        problems=tuple(dict.fromkeys(chain.from_iterable(one.problems for one in contents))),
    )


def _shifted_run(run: dict[str, Any], add: int) -> dict[str, Any]:
    """The facts of a run with its trials' numbers as they are on the page."""
    arm = run.get("random_arm")
    if not isinstance(arm, dict) or not isinstance(arm.get("borrowed"), list):
        return run
    numbers = [one + add if isinstance(one, int) else one for one in arm["borrowed"]]
    return {**run, "random_arm": {**arm, "borrowed": numbers}}


def _common(facts: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """What all say alike as it is; the rest by run."""
    shared = {key: value for key, value in facts[0].items() if key not in _OF_EACH}
    alike = {key: value for key, value in shared.items() if all(one.get(key) == value for one in facts)}
    own = {
        name: {key: value for key, value in one.items() if key not in alike}
        for name, one in zip(names, facts, strict=True)
    }
    for key in _JOINED:
        lists = [one[key] for one in facts if isinstance(one.get(key), list)]
        if lists:
            alike[key] = _once(chain.from_iterable(lists))
    targets = [one["target"] for one in facts if one.get("target")]
    if targets:
        alike.setdefault("target", targets[0])  # as far as `Kind` goes they are alike
    return {**alike, "by_run": own}


def _once(values: Iterable[Any]) -> list[Any]:
    found: dict[str, Any] = {}
    for value in values:
        found.setdefault(_text(value), value)
    return list(found.values())


def _sweep_files(members: Sequence[Member]) -> str:
    """Each different file once, under the names of its runs."""
    by_text: dict[str, list[str]] = {}
    for member in members:
        by_text.setdefault(member.contents.sweep_yaml, []).append(member.name)
    if list(by_text) == [""]:
        return ""
    return "\n".join(f"# {', '.join(names)}\n{text or '# not recorded'}" for text, names in by_text.items())
