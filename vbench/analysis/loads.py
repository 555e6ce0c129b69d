"""How much runs at once in a trial: requests in flight, their rate, the engine's limit, replicas."""

from __future__ import annotations

import math

from vbench.analysis.effects import number_of
from vbench.records.record import TrialRecord
from vbench.spec.calling import num_answers

LOADS = ("load.max_concurrency", "load.request_rate", "max_num_seqs", "replicas")
"""Parameters that say how much runs at once, under their names in sweep files."""


def load_of(record: TrialRecord, name: str) -> float | None:
    """The load of a trial: what the search chose, what the sweep file fixed, or what the engine said it used."""
    if name in record.parameters:
        return number_of(record.parameters[name])
    section, _, key = name.rpartition(".")
    held = record.config.get(section) if section else record.config
    if isinstance(held, dict) and key in held:
        return number_of(held[key])
    return number_of(record.engine.facts.get(name))


def whole_load(record: TrialRecord, name: str) -> int | None:
    """How much of a load lets all prompts of a trial run at once: more of it can bring nothing. None where there is no
    such: of a rate, and of replicas. An engine counts each answer to a prompt, and a replica has its part of them."""
    prompts = record.prompt_set.num_prompts
    if name == "load.max_concurrency":
        return prompts
    if name != "max_num_seqs":
        return None
    replicas = load_of(record, "replicas") or 1
    return math.ceil(prompts / replicas) * (num_answers(record.config) or 1)
