"""The `search` and `objective` sections of a sweep file: what each of their keys may hold.

What needs more than the section itself is checked in `search_reading`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vbench.metrics import BY_NAME, metric_names
from vbench.spec.fields import Duration, NotNegative, Positive, wrong
from vbench.spec.problems import shown
from vbench.spec.suggest import did_you_mean
from vbench.spec.types import SearchMethod, SearchSpec


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


class SearchSection(_Section):
    """How configurations are chosen, what a trial may be spared, and when to stop."""

    method: SearchMethod = Field(
        default=SearchSpec().method,
        description="auto: a grid where all of it fits the trials, else vbench's surrogate. grid tries every "
        "combination in turn; the others are Optuna's samplers of these names, and nothing else.",
    )
    trials: Positive | None = Field(
        default=None,
        description="Start so many; what the planner refuses doesn't count. Default: all of a grid, else 30.",
        examples=[40],
    )
    timeout: Duration | None = Field(
        default=None, description="Start no further trial after this long, all sessions together.", examples=["6h"]
    )
    gpu_hours: float | None = Field(
        default=None,
        gt=0,
        le=1_000_000,
        allow_inf_nan=False,
        description="Start no further trial that would pass so many GPU-hours, all sessions together.",
        examples=[8],
    )
    seed: NotNegative = Field(default=0, description="Seed of the search.")
    prune: bool | None = Field(
        default=None,
        description="Stop a trial once it can't catch the best so far. Default: with method auto and one objective.",
    )
    prune_error_rate: float = Field(
        default=SearchSpec().prune_error_rate,
        gt=0,
        le=0.5,
        description="The chance that a trial as good as the best so far is stopped all the same.",
        examples=[0.05],
    )
    probe_prompts: NotNegative = Field(
        default=0,
        description="Begin each trial with so few of the prompts, to stop it by. 0: no such pass.",
        examples=[16],
    )
    finalists: NotNegative | None = Field(
        default=None,
        description="Measure up to so many of the best again, in turns, before one is named. Default: 3 with method "
        "auto, else 0.",
        examples=[3],
    )
    final_rounds: Positive = Field(
        default=SearchSpec().final_rounds, description="How often each finalist is measured again."
    )
    random_arm: bool = Field(
        default=False, description="Afterwards a random search of equal engine-seconds: what was the search worth?"
    )
    reuse_engine: bool = Field(
        default=True, description="Keep the engine for trials that differ only in sampling, load or goodput."
    )
    parallel_trials: Positive = Field(
        default=1, description="So many one-GPU trials side by side, where they don't disturb each other.", examples=[2]
    )
    machine_faults: Literal["stop", "go_on"] = Field(
        default=SearchSpec().machine_faults,
        description="After a trial that the machine spoilt, not its settings: stop, or go on (three in a row stop it).",
    )


class ObjectiveSection(_Section):
    """The one metric to optimise."""

    maximize: str | None = Field(default=None, description="A metric.", examples=["output_throughput_tok_s"])
    minimize: str | None = Field(default=None, description="A metric.", examples=["p95_ttft_s"])

    @model_validator(mode="before")
    @classmethod
    def _is_single(cls, value: Any) -> Any:
        if isinstance(value, dict) and {"maximize", "minimize"} <= value.keys():
            raise wrong(
                "is one metric here",
                "of several objectives each is an item of a list: [{maximize: …}, {minimize: …}]",
            )
        if value in ({}, []):
            raise wrong("says neither maximize nor minimize", "write {maximize: output_throughput_tok_s}")
        return value

    @model_validator(mode="after")
    def _is_measured(self) -> ObjectiveSection:
        name = self.maximize or self.minimize or ""
        if name not in metric_names():
            raise wrong(f"{shown(name)} is not a metric", metric_hint(name))
        return self


def metric_hint(name: str) -> str:
    """What to write instead of a name that isn't a metric."""
    if name in BY_NAME and BY_NAME[name].is_distribution:
        return f"of many requests, which? p50_{name}, p95_{name}, mean_{name}, …"
    return did_you_mean(name, metric_names()) or f"there is {', '.join(metric_names()[:3])}, p95_ttft_s, …"


def or_a_list(schema: dict[str, Any]) -> None:
    """In the JSON Schema `objective` may be a list too; `search_reading` takes it apart before it is checked."""
    one = {"$ref": schema.pop("$ref")}
    schema["anyOf"] = [one, {"type": "array", "minItems": 1, "items": one}]
