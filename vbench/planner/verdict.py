"""The answer for one configuration: fits, uncertain, infeasible or unsupported, and why. Pure; a fraction of a
millisecond each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from vbench.planner.abilities import EngineAbilities, refusal
from vbench.planner.assumptions import depended_on
from vbench.planner.budget import Budget
from vbench.planner.estimate import Estimate, Workload, estimate, requested_bytes
from vbench.planner.kv_cache import cache_tokens
from vbench.planner.kv_space import given_by
from vbench.planner.learning import NOTHING_LEARNT, Correction
from vbench.planner.remedies import remedies
from vbench.planner.rules import contradiction, plain_checkpoint
from vbench.planner.settings import AUTO_LEN, Settings, SettingsError, SpaceVariable, resolve
from vbench.planner.shape import Model, ModelShape, NotModelled
from vbench.planner.work import Work, work_of
from vbench.units import GIB, format_bytes


class Verdict(StrEnum):
    """What a plan says."""

    FITS = "fits"
    UNCERTAIN = "uncertain"
    """Within the estimate's error of the limit, or not modelled: it is tried."""
    INFEASIBLE = "infeasible"
    UNSUPPORTED = "unsupported"

    @property
    def is_tried(self) -> bool:
        """Whether a trial is started."""
        return self in (Verdict.FITS, Verdict.UNCERTAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class PerGpu:
    """Bytes on the fullest GPU. `total` is the least the configuration takes of `budget` (docs/planner.md)."""

    weights_bytes: int
    kv_bytes_per_token: int
    kv_tokens: int
    activation_bytes: int
    graph_bytes: int
    context_bytes: int
    total_bytes: int
    budget_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A verdict with its reason and numbers; the numbers are None where nothing could be computed."""

    verdict: Verdict
    reason: str
    per_gpu: PerGpu | None = None
    kv_blocks: int | None = None
    block_size: int | None = None
    block_bytes: int | None = None
    concurrency: float | None = None
    """Requests of `max_model_len` tokens at once."""
    max_model_len: int | None = None
    margin_bytes: int | None = None
    error_bytes: int | None = None
    peak_bytes: int | None = None
    """What NVML is expected to show at most."""
    is_pool_given: bool = False
    """Whether the configuration fixes the KV space itself."""
    warnings: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    """What these numbers take to be so of the engine's version without it having been seen (`planner.assumptions`)."""
    work: Work | None = None
    """What the model computes and reads, for reports."""
    remedies: tuple[str, ...] = ()
    """For `infeasible` by memory: the nearest settings that would fit ("max_model_len ≤ 5,120"), nearest first."""

    def as_json(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that is known, as plain JSON values."""
        lists = {name: [*getattr(self, name)] for name in ("warnings", "assumptions", "remedies")}
        work = None if self.work is None else self.work.as_json()
        return {"config": dict(config), **asdict(self), "verdict": self.verdict.value, "work": work, **lists}


def plan(
    config: Mapping[str, Any], model: Model, budget: Budget, engine: EngineAbilities | None = None, *,
    draft: Model | None = None, checkpoint_bytes: int | None = None, is_own_config: bool = False,
    correction: Correction = NOTHING_LEARNT, space_variable: SpaceVariable | None = None,
) -> Plan:  # fmt: skip
    """Judge one effective configuration (`spec.config.effective_config`) against a budget.

    `engine` None means the newest vLLM of the shipped tables. `is_own_config`: the shape is that of the very checkpoint
    that will be loaded, so that a missing quantization is one. `space_variable` gives the KV space from outside the
    configuration. Nothing is raised: a value that can't be is a verdict.
    """
    engine = engine or EngineAbilities()
    if isinstance(model, NotModelled):
        return Plan(
            verdict=Verdict.UNCERTAIN, reason=f"{model.model_type} isn't modelled ({model.reason}): it is tried"
        )
    known_draft = draft if isinstance(draft, ModelShape) else None
    workload = Workload(shape=model, draft=known_draft, checkpoint_bytes=checkpoint_bytes)
    try:
        settings = resolve(config, model, budget, engine.version, space_variable)
    except SettingsError as error:
        return Plan(verdict=Verdict.INFEASIBLE, reason=str(error))
    if reason := contradiction(config, model, settings, budget, engine.version):
        return Plan(verdict=Verdict.INFEASIBLE, reason=reason)
    # Before what the checkpoint lacks: another one would not help a method that the engine or the card hasn't.
    if reason := refusal(config, model, settings, budget, engine):
        return Plan(verdict=Verdict.UNSUPPORTED, reason=reason)
    if is_own_config and (reason := plain_checkpoint(config, model)):
        return Plan(verdict=Verdict.INFEASIBLE, reason=reason)
    found = estimate(config, workload, settings, budget, engine.version, correction)
    verdict, reason = _judge(found, budget)
    other: list[str] = []
    if verdict is Verdict.INFEASIBLE and not reason:
        other = remedies(config, workload, budget, engine, correction, found)
        reason = f"{_shortfall(found, budget)}: {', or '.join(other) or 'a smaller model, or a bigger card'}"
    made = _with_numbers(found, verdict, reason, _warnings(found, model, settings, budget, known_draft))
    windows = (*model.layer_windows, *(() if known_draft is None else known_draft.layer_windows))
    assumed = depended_on(config, windows, settings, budget, engine.version)
    return replace(made, remedies=tuple(other), assumptions=assumed, work=work_of(model))


def _judge(found: Estimate, budget: Budget) -> tuple[Verdict, str]:
    """The verdict; the reason is left empty where remedies belong to it."""
    settings = found.settings
    if not found.is_pool_given and budget.free_bytes is not None:
        wanted = requested_bytes(settings, budget)
        if wanted > budget.free_bytes:
            fitting = max(0.0, int(budget.free_bytes / budget.visible_bytes * 100) / 100)
            return Verdict.INFEASIBLE, (
                f"gpu_memory_utilization {settings.gpu_memory_utilization:g} asks for {format_bytes(wanted)} and "
                f"{format_bytes(budget.free_bytes)} are free: use at most {fitting:g}"
            )
    if found.is_pool_given and (found.length == 0 or found.num_blocks < found.needed_blocks):
        return Verdict.INFEASIBLE, ""
    if found.margin_bytes < -found.error_bytes or (found.length == 0 and found.pool_bytes < -found.error_bytes):
        return Verdict.INFEASIBLE, ""
    if found.margin_bytes <= found.error_bytes or found.length == 0:
        side = "left" if found.margin_bytes >= 0 else "short"
        return Verdict.UNCERTAIN, (
            f"{_gib(abs(found.margin_bytes))} {side}, and the estimate may be {_gib(found.error_bytes)} off: "
            "it is tried"
        )
    tokens, concurrency = _tokens(found)
    chosen = f", max_model_len {found.length:,}" if settings.max_model_len == AUTO_LEN else ""
    return Verdict.FITS, f"{tokens:,} KV tokens: {concurrency:.1f} requests of {found.length:,} at once{chosen}"


def _shortfall(found: Estimate, budget: Budget) -> str:
    given = given_by(found.settings, found.layout.block_bytes)
    space = "" if given is None else given.phrase(given.value)
    if given is not None and found.num_blocks < found.needed_blocks:
        short = found.needed_bytes - found.pool_bytes
        return f"{space} is {_gib(short)} short of one request of {max(1, found.length):,} tokens"
    where = "of RAM" if budget.is_cpu else "on each GPU" if found.settings.num_gpus > 1 else "on the GPU"
    if found.pool_bytes <= 0 and given is None:
        return f"the weights ({_gib(found.weights_bytes)}) and overhead are {_gib(-found.pool_bytes)} too much {where}"
    return f"{_gib(-found.margin_bytes)} short {where}" + (f" with {space}" if space else "")


def _tokens(found: Estimate) -> tuple[int, float]:
    if found.length == 0:
        return 0, 0.0
    return cache_tokens(found.layout, found.num_blocks, found.length, found.settings.max_in_flight_tokens)


def _with_numbers(found: Estimate, verdict: Verdict, reason: str, warnings: tuple[str, ...]) -> Plan:
    tokens, concurrency = _tokens(found)
    return Plan(
        verdict=verdict,
        reason=reason,
        per_gpu=PerGpu(
            weights_bytes=found.weights_bytes,
            kv_bytes_per_token=found.layout.token_bytes,
            kv_tokens=tokens,
            activation_bytes=found.overhead.activation_bytes,
            graph_bytes=found.overhead.graph_bytes,
            context_bytes=found.overhead.context_bytes,
            total_bytes=found.total_bytes,
            budget_bytes=found.budget_bytes,
        ),
        kv_blocks=found.num_blocks,
        block_size=found.layout.block_size,
        block_bytes=found.layout.block_bytes,
        concurrency=concurrency,
        max_model_len=found.length,
        margin_bytes=found.margin_bytes,
        error_bytes=found.error_bytes,
        peak_bytes=found.peak_bytes,
        is_pool_given=found.is_pool_given,
        warnings=warnings,
    )


def _warnings(
    found: Estimate, shape: ModelShape, settings: Settings, budget: Budget, draft: ModelShape | None
) -> tuple[str, ...]:
    said = list(shape.guesses)
    if settings.has_draft_model and draft is None:
        said.append("the draft model's shape isn't known: its memory isn't counted")
    if not budget.is_cpu and found.peak_bytes + found.overhead.growth_bytes > budget.visible_bytes:
        said.append(
            f"may run out of memory under load: {format_bytes(found.peak_bytes)} of "
            f"{format_bytes(budget.visible_bytes)} are taken before run-time growth"
        )
    return tuple(said)


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / GIB:.2f} GiB"
