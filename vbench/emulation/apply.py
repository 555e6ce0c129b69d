"""From the configuration that a user wrote for the target to the one that an engine here is given for it.

Only what decides memory or abilities is touched, only in the request to the engine, and each change is noted. What the
user names and the target can't do is not changed: the planner refuses it with the target's capability.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vbench.emulation.scale import balloon_bytes, scaled_utilization
from vbench.planner.assumptions import DEFAULT_UTILIZATION
from vbench.planner.budget import Budget, Version, parse_version
from vbench.planner.estimate import Workload, estimate
from vbench.planner.models import FoundModel, find_model
from vbench.planner.settings import Settings, SettingsError, resolve, resolve_dtype
from vbench.planner.shape import ModelShape
from vbench.spec.types import Emulation
from vbench.units import format_bytes

_AMPERE = (8, 0)
_ATTENTION_VARIABLE = "VLLM_ATTENTION_BACKEND"
# By version, newest first; V0, which a T4 got up to 0.8, had no Triton backend. The variable is gone from 0.15.
_BY_VARIABLE: tuple[tuple[Version, str], ...] = (
    ((0, 11, 0), "TRITON_ATTN"),
    ((0, 9, 0), "TRITON_ATTN_VLLM_V1"),
    ((0, 0, 0), "XFORMERS"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """What stands in for what: the card that is emulated, and the machine it is emulated on."""

    card: Budget
    """The emulated card; `visible_bytes` are those that trials may have."""
    local_bytes: int
    """What is visible here of each GPU; on a CPU the RAM."""
    is_on_cpu: bool = False
    emulation: Emulation

    @property
    def balloon_bytes(self) -> int:
        """Of each GPU, to be held so that as much is left as the emulated card has."""
        return balloon_bytes(self.card.visible_bytes, self.local_bytes)

    @property
    def has_bfloat16(self) -> bool:
        """From compute capability 8.0 on; a card of unknown capability is taken to have it."""
        return self.card.compute_capability is None or self.card.compute_capability >= _AMPERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What an engine is given instead of a configuration, and what to say about it."""

    config: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)
    """To be added to the sweep's own variables, which win."""
    notes: tuple[str, ...] = ()


def as_it_is(config: Mapping[str, Any]) -> Passed:
    """Where nothing is emulated."""
    return Passed(config=config)


def apply(config: Mapping[str, Any], stand: Stand, engine_version: str) -> Passed:
    """The request for a trial of `config` on the emulated card. Never raises for a value that can't be: it is passed on
    as it is, for the planner or the engine to refuse."""
    if config.get("engine") != "vllm":
        return Passed(config=config, notes=(f"engine {config.get('engine')}: nothing of {stand.card.name} is passed",))
    version = parse_version(engine_version)
    found = find_model(str(config["model"]))
    shape = found.model if isinstance(found.model, ModelShape) else None
    changed, notes = dict(config), []
    notes += _dtype(changed, stand, shape)
    notes += _cpu_memory(changed, stand, found, version) if stand.is_on_cpu else _utilization(changed, stand, version)
    if stand.is_on_cpu or stand.has_bfloat16:
        return Passed(config=changed, notes=tuple(notes))
    variables = {"VLLM_USE_FLASHINFER_SAMPLER": "0"}
    notes.append("VLLM_USE_FLASHINFER_SAMPLER=0")
    notes += _attention(changed, variables, shape, version)
    return Passed(config=changed, environment=variables, notes=tuple(notes))


def _dtype(config: dict[str, Any], stand: Stand, shape: ModelShape | None) -> list[str]:
    """`auto` is decided as on the target: float16 without bfloat16, float32 for models that refuse float16."""
    if stand.has_bfloat16 or config.get("dtype") not in (None, "auto"):
        return []
    config["dtype"] = "float16" if shape is None else resolve_dtype(config, shape, stand.card)
    return [f"dtype auto of {_a(stand)} passed as {config['dtype']}"]


def _utilization(config: dict[str, Any], stand: Stand, version: Version) -> list[str]:
    """On a GPU: the same bytes, as a share of this card. A given KV space is bytes already."""
    wanted = config.get("gpu_memory_utilization")
    if wanted is None:
        # 0.9 up to 0.11; 0.92 was seen in 0.32 (the planner's reading of the same logs).
        wanted = 0.92 if DEFAULT_UTILIZATION.holds(version) else 0.9
    if isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
        return []
    scaled = scaled_utilization(wanted, stand.card.visible_bytes, stand.local_bytes)
    config["gpu_memory_utilization"] = scaled
    return [f"gpu_memory_utilization {wanted:g} of {_a(stand)} passed as {scaled:.3f}"]


def _cpu_memory(config: dict[str, Any], stand: Stand, found: FoundModel, version: Version) -> list[str]:
    """On a CPU the KV space is what the emulated memory leaves after the process, the weights and activations.

    Without a known shape that can't be computed, and the engine does the sum itself from a share of RAM.
    """
    if config.get("kv_cache_memory_bytes") is not None or config.get("num_gpu_blocks_override") is not None:
        return []
    memory = Budget(visible_bytes=stand.card.visible_bytes, kind="cpu", name=stand.card.name)
    if not isinstance(found.model, ModelShape) or version < (0, 10, 2):
        return _utilization(config, stand, version)
    try:
        settings = resolve(config, found.model, memory, version)
    except SettingsError:
        return []
    workload = Workload(shape=found.model, draft=_draft(config, settings), checkpoint_bytes=found.checkpoint_bytes)
    space = estimate(config, workload, settings, memory, version)
    config.pop("gpu_memory_utilization", None)
    # Less than one request wouldn't start, and say nothing of memory: it starts, and its peak is judged.
    config["kv_cache_memory_bytes"] = max(space.pool_bytes, space.needed_bytes)
    return [
        f"gpu_memory_utilization {settings.gpu_memory_utilization:g} of {_a(stand)} passed as kv_cache_memory_bytes "
        f"{config['kv_cache_memory_bytes']} ({format_bytes(config['kv_cache_memory_bytes'])})"
    ]


def _draft(config: Mapping[str, Any], settings: Settings) -> ModelShape | None:
    speculative = config.get("speculative_config")
    if not settings.has_draft_model or not isinstance(speculative, Mapping):
        return None
    model = find_model(str(speculative.get("model"))).model
    return model if isinstance(model, ModelShape) else None


def _attention(
    config: dict[str, Any], variables: dict[str, str], shape: ModelShape | None, version: Version
) -> list[str]:
    """The backend that the version picks on a T4 (docs/emulation.md, "Attention"), unless the user names one."""
    nested = config.get("attention_config")
    is_named = config.get("attention_backend") or (isinstance(nested, Mapping) and nested.get("backend"))
    if is_named or (shape is not None and shape.mla is not None):
        return []  # MLA has one backend without Hopper, TRITON_MLA, and takes no other
    if version >= (0, 12, 0):
        if isinstance(nested, Mapping):
            config["attention_config"] = {**nested, "backend": "TRITON_ATTN"}
        else:
            config["attention_backend"] = "TRITON_ATTN"
        return ["attention_backend TRITON_ATTN"]
    name = next(backend for since, backend in _BY_VARIABLE if version >= since)
    variables[_ATTENTION_VARIABLE] = name
    return [f"{_ATTENTION_VARIABLE}={name}"]


def _a(stand: Stand) -> str:
    """The emulated card in a note."""
    return stand.card.name or "the emulated card"
