"""Whether the card and the engine version can do what a configuration asks: one sentence when they can't.

The sentence says what, since or until which version, and what to use instead. Memory isn't looked at here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vbench.planner.ability_data import (
    BACKENDS,
    COMPRESSED_FLOORS,
    FP8_KV_FLOOR,
    KV_DTYPES,
    METHODS,
    SPECULATIVE_METHODS,
    WHEEL_FLOORS,
    XFORMERS_GONE,
    Capability,
)
from vbench.planner.budget import LATEST, SEEN_AFTER_0_11, Budget, Version
from vbench.planner.families import FLOAT16_REFUSED
from vbench.planner.settings import Settings, has_bfloat16
from vbench.planner.shape import ModelShape, Quantization
from vbench.planner.weights import scheme_for
from vbench.spec.suggest import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAbilities:
    """The engine a plan is for. `methods` is what an installed one said of itself (name → least capability as vLLM's
    `get_min_capability()`, e.g. 75); without it the shipped table answers."""

    version: Version = LATEST
    methods: Mapping[str, int | None] | None = None
    is_list_complete: bool = True
    """Whether a method that isn't in `methods` is one that the engine lacks. False where another build of the same
    version (for a CPU, say) was asked: what it lists holds, of the rest the table answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    config: Mapping[str, Any]
    shape: ModelShape
    settings: Settings
    budget: Budget
    engine: EngineAbilities

    @property
    def card(self) -> str:
        """The card in a sentence."""
        capability = self.budget.compute_capability
        name = self.budget.name or "this card"
        return name if capability is None else f"{name} has {dotted(capability)}"

    def is_below(self, floor: Capability) -> bool:
        """Whether the card is known to have less than `floor`."""
        capability = self.budget.compute_capability
        return not self.budget.is_cpu and capability is not None and capability < floor


def refusal(
    config: Mapping[str, Any], shape: ModelShape, settings: Settings, budget: Budget, engine: EngineAbilities
) -> str | None:
    """Why this can't run there, or None. The first reason wins: card, dtype, quantization, KV, attention, drafts."""
    case = _Case(config=config, shape=shape, settings=settings, budget=budget, engine=engine)
    return next((reason for rule in _RULES if (reason := rule(case)) is not None), None)


def dotted(numbers: tuple[int, ...]) -> str:
    """
    >>> dotted((7, 5)), dotted((0, 14, 0))
    ('7.5', '0.14.0')
    """
    return ".".join(map(str, numbers))


def _wheel(case: _Case) -> str | None:
    floor = _floor_at(WHEEL_FLOORS, case.engine.version)
    if not case.is_below(floor):
        return None
    hint = ": vLLM up to 0.19 runs on 7.0" if case.budget.compute_capability == (7, 0) else ""
    return f"vLLM {dotted(case.engine.version)} needs compute capability {dotted(floor)}, {case.card}{hint}"


def _dtype(case: _Case) -> str | None:
    dtype = case.settings.dtype
    if dtype == "float16" and case.shape.model_type in FLOAT16_REFUSED:
        other = "bfloat16" if has_bfloat16(case.budget) else "float32 (twice the memory; this card has no bfloat16)"
        return f"{case.shape.model_type} doesn't support float16 (numerically unstable): use dtype {other}"
    if dtype == "bfloat16" and case.is_below((8, 0)):
        return f"bfloat16 needs compute capability 8.0, {case.card}: use dtype float16"
    return None


def _quantization(case: _Case) -> str | None:
    name = case.settings.quantization
    if name is None and case.shape.quantization is not None:
        name = case.shape.quantization.method
    if name is None:
        return None
    return _method(case, name) or _scheme(case, name, scheme_for(case.shape, name))


def _method(case: _Case, name: str) -> str | None:
    version, installed, method = case.engine.version, case.engine.methods, METHODS.get(name)
    instead = f": {method.instead}" if method is not None and method.instead else ""
    if installed is not None and name in installed:
        least = installed[name]
        if least is not None and case.is_below(divmod(least, 10)):
            return f"quantization {name} needs compute capability {dotted(divmod(least, 10))}, {case.card}{instead}"
        if not case.budget.is_cpu or method is None or method.cpu:
            return None
    if method is None:
        hint = did_you_mean(name, installed or METHODS) or "see `vbench schema`"
        return f"quantization {name!r} isn't known to vLLM {dotted(version)}: {hint}"
    if method.gone is not None and version >= method.gone:
        until = f"last in {method.last}" if method.last else f"gone by {dotted(method.gone)}"
        return f"quantization {name} isn't in vLLM {dotted(version)} ({until}){instead}"
    if method.absent_before is not None and version < method.absent_before:
        return f"quantization {name} isn't in vLLM {dotted(version)} (it came later){instead}"
    if installed is not None and name not in installed and case.engine.is_list_complete:
        return f"quantization {name} isn't in the installed vLLM {dotted(version)}{instead}"
    if case.budget.is_cpu:
        return None if method.cpu else f"quantization {name} doesn't run on vLLM's CPU backend: use awq or gptq"
    floor = _floor_at(method.floors, version)
    return _below(case, f"quantization {name}", floor, method.floors, instead) if case.is_below(floor) else None


def _scheme(case: _Case, name: str, scheme: Quantization | None) -> str | None:
    """What a stored scheme asks beyond its method: a floor of its own, a type of activations, whole groups."""
    if scheme is None:
        return None
    version = case.engine.version
    if name == "compressed-tensors" and scheme.bits in COMPRESSED_FLOORS:
        floors = COMPRESSED_FLOORS[scheme.bits]
        if case.is_below(_floor_at(floors, version)):
            what = f"compressed-tensors with {scheme.bits}-bit weights"
            return _below(case, what, _floor_at(floors, version), floors, ": use awq or gptq")
    dtype = case.settings.dtype
    if scheme.method == "awq" and (dtype == "float32" or (dtype == "bfloat16" and version < SEEN_AFTER_0_11)):
        return f"awq doesn't take {dtype} in vLLM {dotted(version)}: use dtype float16"
    if scheme.method == "gptq" and dtype == "float32":
        return f"gptq doesn't take float32 in vLLM {dotted(version)}: use dtype float16"
    if name == "bitsandbytes" and case.settings.placement.tensor_parallel_size > 1 and version < (0, 6, 0):
        return "bitsandbytes with tensor parallelism isn't in vLLM before 0.6: use tensor_parallel_size 1, or awq"
    ranks, group = case.settings.placement.tensor_parallel_size, scheme.group_size
    width = case.shape.intermediate_size // ranks
    if group is not None and scheme.method != "bitsandbytes" and width % group:
        return (
            f"{width:,} MLP inputs a rank aren't whole groups of {group}: use a smaller group or tensor_parallel_size"
        )
    return None


def _kv_dtype(case: _Case) -> str | None:
    name = case.settings.kv_dtype
    if name not in KV_DTYPES:
        hint = did_you_mean(name, KV_DTYPES) or f"one of {', '.join(KV_DTYPES[:6])}"
        return f"kv_cache_dtype {name!r} isn't known to vLLM: {hint}"
    if name.startswith("fp8") and case.is_below(FP8_KV_FLOOR):
        return f"an fp8 KV cache needs compute capability {dotted(FP8_KV_FLOOR)}, {case.card}: use kv_cache_dtype auto"
    if name.endswith("_per_token_head") and case.engine.version < SEEN_AFTER_0_11:
        return f"kv_cache_dtype {name} isn't in vLLM {dotted(case.engine.version)} (it came later): use auto"
    return None


def _attention(case: _Case) -> str | None:
    nested = case.config.get("attention_config")
    name = case.config.get("attention_backend") or (nested.get("backend") if isinstance(nested, Mapping) else None)
    if name is None or case.budget.is_cpu:
        return None
    name, version = str(name), case.engine.version
    if name == "XFORMERS" and version >= XFORMERS_GONE:
        return f"attention backend XFORMERS isn't in vLLM {dotted(version)} (last in 0.11.2): use TRITON_ATTN"
    if version < XFORMERS_GONE:
        return f"vLLM {dotted(version)} has no attention_backend argument: set VLLM_ATTENTION_BACKEND in `environment`"
    floors = BACKENDS.get(name)
    if floors is None or not case.is_below(_floor_at(floors, version)):
        return None
    return _below(case, f"attention backend {name}", _floor_at(floors, version), floors, ": use TRITON_ATTN")


def _speculation(case: _Case) -> str | None:
    speculative = case.config.get("speculative_config")
    if not isinstance(speculative, Mapping):
        return None
    version = case.engine.version
    name = str(speculative.get("method") or ("draft_model" if speculative.get("model") else "ngram"))
    if name not in SPECULATIVE_METHODS:
        hint = did_you_mean(name, SPECULATIVE_METHODS)
        return (
            None
            if name.endswith("_mtp")
            else f"speculative method {name!r} isn't known to vLLM" + f": {hint}" * bool(hint)
        )
    first, gone = SPECULATIVE_METHODS[name]
    if version < first or (gone is not None and version >= gone):
        when = f"gone in {dotted(gone)}" if gone is not None and version >= gone else "it came later"
        return f"speculative method {name} isn't in vLLM {dotted(version)} ({when}): use ngram"
    if name == "draft_model" and (0, 9, 0) <= version < SEEN_AFTER_0_11:
        return f"vLLM {dotted(version)} has no draft models (V0 had, 0.12 has them again): use ngram"
    return None


_RULES: tuple[Callable[[_Case], str | None], ...] = (
    _wheel, _dtype, _quantization, _kv_dtype, _attention, _speculation,
)  # fmt: skip


def _floor_at(floors: tuple[tuple[Version, Capability], ...], version: Version) -> Capability:
    return [capability for since, capability in floors if since <= version][-1]


def _below(
    case: _Case, what: str, floor: Capability, floors: tuple[tuple[Version, Capability], ...], instead: str
) -> str:
    version = case.engine.version
    later = [since for since, capability in floors if since > version and not case.is_below(capability)]
    since = f" (from vLLM {dotted(later[0])} it runs there)" if later else ""
    return f"{what} needs compute capability {dotted(floor)} in vLLM {dotted(version)}, {case.card}{since}{instead}"
