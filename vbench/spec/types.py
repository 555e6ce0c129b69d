"""What a sweep file means, as frozen types. No parsing here (`loader`), no searching (`search`), no engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from vbench.spec.domain_types import Choice as Choice  # noqa: PLC0414 -- re-exported
from vbench.spec.domain_types import Domain as Domain  # noqa: PLC0414 -- re-exported
from vbench.spec.domain_types import Option as Option  # noqa: PLC0414 -- re-exported
from vbench.spec.domain_types import Parameter as Parameter  # noqa: PLC0414 -- re-exported
from vbench.spec.domain_types import Range as Range  # noqa: PLC0414 -- re-exported
from vbench.spec.domain_types import Scalar as Scalar  # noqa: PLC0414 -- re-exported
from vbench.spec.measure_types import Deadlines as Deadlines  # noqa: PLC0414 -- re-exported
from vbench.spec.measure_types import MeasureSpec as MeasureSpec  # noqa: PLC0414 -- re-exported
from vbench.spec.measure_types import QualitySpec as QualitySpec  # noqa: PLC0414 -- re-exported
from vbench.spec.prompt_types import PromptSpec as PromptSpec  # noqa: PLC0414 -- re-exported
from vbench.spec.prompt_types import SyntheticPrompts as SyntheticPrompts  # noqa: PLC0414 -- re-exported

ENGINES = ("vllm", "fake")
SearchMethod = Literal["auto", "surrogate", "grid", "random", "qmc", "tpe", "gp", "cmaes", "nsga2", "nsga3", "botorch"]
SEARCH_METHODS: tuple[SearchMethod, ...] = get_args(SearchMethod)


def is_nested_argument(name: str) -> bool:
    """Whether the argument takes a mapping (`speculative_config`, `compilation_config`, `hf_overrides`).

    Then an option's settings *are* the argument's value; otherwise they are other arguments set along with it.
    Known by name, so that a file can be read without the engine. `generation_config` is the exception: it takes text.
    """
    return name.endswith(("_config", "_overrides", "_kwargs")) and name != "generation_config"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpec:
    """How configurations are chosen, what a trial may be spared, and when to stop.

    `prune` and `finalists` None: on (3) for method auto, off for a method that was named.
    """

    method: SearchMethod = "auto"
    trials: int | None = None
    """Trials that are started; those that the planner refuses don't count. None: all of a grid, else 30."""
    timeout_s: float | None = None
    gpu_hours: float | None = None
    """Hours of trials times the GPUs that each takes (1 on a CPU), over all sessions of the run."""
    seed: int = 0
    prune: bool | None = None
    prune_error_rate: float = 0.05
    """The chance that a trial as good as the best so far is stopped early."""
    probe_prompts: int = 0
    """So many prompts are answered before all else in a trial, to stop it by; 0: no such pass."""
    finalists: int | None = None
    """How many of the best, where their intervals overlap, are measured again before one is named."""
    final_rounds: int = 2
    """How often each finalist is measured again, in turns."""
    random_arm: bool = False
    """Whether a random search of equal engine-seconds follows, to tell what the search was worth."""
    reuse_engine: bool = True
    """Whether trials that differ only in what is asked of a running engine share one."""
    parallel_trials: int = 1
    """One-GPU trials side by side at most, each on a GPU of its own."""
    machine_faults: Literal["stop", "go_on"] = "stop"
    """What follows a trial that the machine spoilt (`interrupted`)."""

    @property
    def is_pruning(self) -> bool:
        """Whether trials are stopped early."""
        return self.method == "auto" if self.prune is None else self.prune

    @property
    def num_finalists(self) -> int:
        """How many at most are measured again."""
        return (3 if self.method == "auto" else 0) if self.finalists is None else self.finalists


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The metric to optimise, by a name of `metrics.metric_names()`."""

    metric: str
    direction: Literal["maximize", "minimize"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """`name operator bound`, e.g. `peak_memory_mib <= 15360`. `name` is as written; `quantity` is the metric or
    parameter it reads, and `bound` is in that quantity's own unit (bytes, seconds)."""

    text: str
    name: str
    quantity: str
    operator: Literal["<=", ">=", "<", ">"]
    bound: float
    is_metric: bool

    def violation(self, value: float) -> float:
        """How far beyond the bound, relative to it; ≤ 0 is kept (a strict bound counts equality as violated)."""
        excess = value - self.bound if self.operator in ("<=", "<") else self.bound - value
        scale = abs(self.bound) or 1.0
        return 1e-12 if excess == 0 and self.operator in ("<", ">") else excess / scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulation:
    """Another card that trials are held to. `memory_fraction`: that share of this machine's card (as CUDA shows it)
    is what they may have; None leaves it to the profile's bytes. Where both are given the smaller holds."""

    profile: str
    memory_fraction: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSpec:
    """A whole sweep, checked and with defaults filled in. Relative paths are resolved against the file's folder."""

    name: str
    description: str = ""
    model: str
    """A local folder (absolute path), a hub id, or `shape:NAME`."""
    engine: str = "vllm"
    python: str | None = None
    """The interpreter that holds the engine; None means the one that runs vbench."""
    hardware: str = "auto"
    emulate: Emulation | None = None
    prompts: PromptSpec
    mode: Literal["offline", "async", "server"] = "offline"
    replicas: int = 1
    sampling: Mapping[str, Any] = field(default_factory=dict)
    load: Mapping[str, Any] = field(default_factory=dict)
    """Without the keys that are null."""
    goodput: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds by `ttft`, `tpot`, `e2el`."""
    lora_modules: Mapping[str, str] = field(default_factory=dict)
    """Adapter folders by name; absolute paths or hub ids."""
    engine_args: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    search: SearchSpec = field(default_factory=SearchSpec)
    objective: Objective
    more_objectives: tuple[Objective, ...] = ()
    """Besides `objective`, which still decides what is called the best."""
    constraints: tuple[Constraint, ...] = ()
    measure: MeasureSpec = field(default_factory=MeasureSpec)
    quality: QualitySpec = field(default_factory=QualitySpec)
    deadlines: Deadlines = field(default_factory=Deadlines)
    worker_start: Literal["auto", "fork", "cold"] = "auto"
    baseline: Mapping[str, Any] | None = None
    """Values by parameter (a choice by its label); parameters it doesn't name are left to the engine's default."""
    source: Path
    text: str
    """The file as read, stored with the run."""
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    """Line of each dotted key, so that later checks (by the engine) can point at it."""

    def interpreters(self) -> tuple[str, ...]:
        """Every interpreter that an option names besides `python`, in the file's order."""
        found: dict[str, None] = {}

        def look(name: str, domain: Domain) -> None:
            for option in domain.options if isinstance(domain, Choice) else ():
                if name == "python" and isinstance(option.value, str) and "python" not in option.settings:
                    found[option.value] = None
                for key, setting in option.settings.items():
                    if isinstance(setting, (Choice, Range)):
                        look(key, setting)
                    elif key == "python" and not is_nested_argument(name) and isinstance(setting, str):
                        found[setting] = None

        for parameter in self.parameters:
            look(parameter.name, parameter.domain)
        return tuple(found)
