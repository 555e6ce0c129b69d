"""The planner beside a sweep: a verdict for each configuration before it is started, and what finished ones taught.

The planner may refuse a trial; it never ends a sweep. What it can't read or doesn't model is `uncertain`, and tried.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from vbench.errors import SpecError
from vbench.execution.trial_record import recorded_config
from vbench.outcome import Outcome
from vbench.planner.abilities import EngineAbilities
from vbench.planner.budget import Budget
from vbench.planner.learning import NOTHING_LEARNT, Agreement, Correction, Kind, compare, learn
from vbench.planner.models import FoundModel, find_model
from vbench.planner.settings import SpaceVariable
from vbench.planner.shape import Model, NotModelled
from vbench.planner.verdict import Plan, Verdict, plan
from vbench.records.record import EngineFacts, Failure, PromptSetFacts, TrialRecord
from vbench.spec.config import displayed_path, effective_config
from vbench.spec.space import Point, recorded_parameters
from vbench.spec.types import SweepSpec
from vbench.units import GIB, format_bytes

_CPU_SPACE = "VLLM_CPU_KVCACHE_SPACE"
_REWRITES_MODEL = ("hf_overrides", "hf_config_path", "config_format")
# vLLM's CPU backend counts one memory node, and counts a forked process's shared pages; we count this machine's RAM.
_CPU_SLACK_BYTES = round(1.5 * GIB)
_CPU_SLACK_SHARE = 0.5
_OUTCOMES = {Verdict.INFEASIBLE: Outcome.INFEASIBLE, Verdict.UNSUPPORTED: Outcome.UNSUPPORTED}


class SweepPlanner:
    """Plans the configurations of one sweep. Model files are read once each; a plan takes a fraction of a millisecond.

    `budget` is the target's, `engine` what will run, and `others` what runs where an option names another interpreter
    (None: it can't be used); nothing is loaded, started or asked of the network.
    """

    def __init__(
        self, spec: SweepSpec, budget: Budget, engine: EngineAbilities,
        others: Mapping[str, EngineAbilities | None] | None = None,
    ) -> None:  # fmt: skip
        self.spec, self.budget, self.engine, self.others = spec, budget, engine, others or {}
        self._models: dict[str, FoundModel] = {}
        self._agreements: list[Agreement] = []

    def plan(self, config: Mapping[str, Any]) -> Plan:
        """Judge an effective configuration with what was learnt so far. Never raises."""
        learnt = learn(self._agreements, _kind(config))
        if self.budget.is_cpu:
            # How much of its share the CPU backend finds taken differs by 0.5 GiB between trials of one kind: a margin
            # narrowed by a few of them would refuse what runs.
            learnt = replace(learnt, shift_bytes=0, error_bytes=None)
        return self._plan(config, learnt)

    def learn(self, record: TrialRecord, settings: Mapping[str, Any]) -> None:
        """Compare a trial's plan with what the engine said of itself, for the next plans of the same kind.

        The plan is made anew without corrections: residuals are to be those of the arithmetic, not of lessons on it.
        """
        if not record.engine.facts:
            return
        config = effective_config(self.spec, settings)
        made = self._plan(config, NOTHING_LEARNT)
        if made.per_gpu is None or made.kv_blocks is None or made.block_bytes is None:
            return
        agreement = compare(
            _kind(config),
            weights_bytes=made.per_gpu.weights_bytes,
            kv_blocks=made.kv_blocks,
            block_bytes=made.block_bytes,
            is_pool_given=made.is_pool_given,
            reported=record.engine.facts,
        )
        self._agreements.append(agreement)

    def find(self, name: str) -> FoundModel:
        """The model, read once; one whose files are wrong is not modelled here, as the engine will say it better."""
        if name not in self._models:
            try:
                found = find_model(name)
            except SpecError as error:
                reason = str(error).splitlines()[0]
                found = FoundModel(model=NotModelled(model_type=displayed_path(name), reason=reason), origin="unknown")
            self._models[name] = found
        return self._models[name]

    def _plan(self, config: Mapping[str, Any], correction: Correction) -> Plan:
        if reason := self._rewrites_model(config):
            return Plan(verdict=Verdict.UNCERTAIN, reason=f"{reason} changes what the model's files say: it is tried")
        found = self.find(str(config.get("model", "")))
        engine = self.others.get(str(config.get("python")), self.engine)
        if engine is None:
            return Plan(verdict=Verdict.UNCERTAIN, reason="its interpreter can't be used")
        try:
            made = plan(
                config, found.model, self.budget, engine,
                draft=self._draft(config), checkpoint_bytes=found.checkpoint_bytes,
                is_own_config=found.is_own_config, correction=correction, space_variable=self._space_variable(config),
            )  # fmt: skip
        except Exception as error:  # a defect of the planner must cost a trial's plan, not the sweep
            reason = f"the planner failed ({type(error).__name__}: {error}): it is tried"
            return Plan(verdict=Verdict.UNCERTAIN, reason=reason)
        return self._lenient(made)

    def _lenient(self, made: Plan) -> Plan:
        """On a CPU a share of memory is only refused when far off."""
        if made.verdict is not Verdict.INFEASIBLE or not self.budget.is_cpu or made.is_pool_given:
            return made
        if made.per_gpu is None or made.margin_bytes is None:
            return made
        slack = _CPU_SLACK_BYTES + _CPU_SLACK_SHARE * made.per_gpu.budget_bytes
        if -made.margin_bytes > slack:
            return made
        reason = f"{format_bytes(-made.margin_bytes)} short by a rough estimate (CPU): it is tried"
        return replace(made, verdict=Verdict.UNCERTAIN, reason=reason, remedies=())

    def _draft(self, config: Mapping[str, Any]) -> Model | None:
        speculative = config.get("speculative_config")
        name = speculative.get("model") if isinstance(speculative, Mapping) else None
        return self.find(name).model if isinstance(name, str) and name != "ngram" else None

    def _rewrites_model(self, config: Mapping[str, Any]) -> str | None:
        if _environment(config, "VLLM_ALLOW_LONG_MAX_MODEL_LEN") == "1":
            return "VLLM_ALLOW_LONG_MAX_MODEL_LEN"
        return next((name for name in _REWRITES_MODEL if config.get(name) not in (None, "", {}, "auto")), None)

    def _space_variable(self, config: Mapping[str, Any]) -> SpaceVariable | None:
        """On a CPU vLLM takes its KV space (GiB) from this variable before anything else."""
        space = _environment(config, _CPU_SPACE) if self.budget.is_cpu else None
        if space is None or not space.isdecimal() or int(space) == 0:
            return None
        return SpaceVariable(name=_CPU_SPACE, gib=int(space))


def _environment(config: Mapping[str, Any], name: str) -> str | None:
    value = config.get("environment", {}).get(name, os.environ.get(name))
    return None if value is None else str(value)


def abilities_of(
    engine: str, version: str | None, description: Mapping[str, Any] | None = None, *, is_same_build: bool = True
) -> EngineAbilities:
    """What an engine of that version can do; the newest vLLM of our tables where it isn't vLLM or not known.

    `is_same_build`: the description is of the very build that will run, so that what it doesn't list isn't there.
    """
    from vbench.planner.budget import LATEST, parse_version

    said = (description or {}).get("quantization_min_capability")
    methods = {str(name): _whole(value) for name, value in said.items()} if isinstance(said, Mapping) and said else None
    if methods is not None and not is_same_build:  # another build's missing library says nothing of this one
        methods = {name: least for name, least in methods.items() if least is not None}
    known = parse_version(version) if engine == "vllm" else LATEST
    return EngineAbilities(version=known, methods=methods, is_list_complete=is_same_build)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def estimate_of(made: Plan) -> dict[str, Any]:
    """What a record keeps of a plan."""
    return {name: value for name, value in made.as_json({}).items() if name not in ("config", "remedies")}


def refused_record(
    made: Plan, spec: SweepSpec, *, number: int, point: Point, origin: Any, engine: EngineFacts,
    prompt_set: PromptSetFacts, hardware: Mapping[str, Any], notes: Sequence[str],
) -> TrialRecord:  # fmt: skip
    """The record of a trial that the plan says can't run: nothing was started, so nothing was measured.

    What was asked is stored as for a trial that ran; `notes` are what an emulated card would have been passed.
    """
    config = recorded_config(effective_config(spec, point.settings))
    advice = f"use {', or '.join(made.remedies)}" if made.remedies else "the reason says what would do instead"
    failure = Failure(
        failure_class=f"planner_{made.verdict.value}",
        evidence=made.reason,
        advice=f"{advice}; `--no-plan` tries it all the same",
        phase="plan",
    )
    record = TrialRecord(
        trial=number,
        origin=origin,
        config=config,
        parameters=recorded_parameters(spec.parameters, point),
        outcome=_OUTCOMES[made.verdict],
        failure=failure,
        engine=engine,
        prompt_set=prompt_set,
        hardware=dict(hardware),
        environment={"notes": [*notes]},
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return record.model_copy(update={"estimate": estimate_of(made)})


def _kind(config: Mapping[str, Any]) -> Kind:
    ranks, quantization = config.get("tensor_parallel_size"), config.get("quantization")
    return Kind(
        model=str(config.get("model", "")),
        tensor_parallel_size=ranks if isinstance(ranks, int) and ranks > 0 else 1,
        is_eager=config.get("enforce_eager") is True,
        quantization=None if quantization in (None, "", "none") else str(quantization),
        dtype=str(config.get("dtype") or "auto"),
    )
