"""The sweep file as strict pydantic models: what each key may hold, checked one section at a time.

What needs more than one section, or the disk, is checked by `loader`; parameter domains by `parameters`. Editors get
the same models as a JSON Schema (`vbench schema`).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vbench.metrics import BY_NAME, metric_names
from vbench.spec.fields import Domains, Duration, Name, NotNegative, Positive, Text, Variables, wrong
from vbench.spec.problems import shown
from vbench.spec.suggest import did_you_mean
from vbench.spec.types import Deadlines, MeasureSpec

MAX_SYNTHETIC_TOKENS = 50_000_000


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


class SyntheticSection(_Section):
    """Random token ids, the same on every machine."""

    count: Positive = Field(description="Number of prompts.", examples=[64])
    input_tokens: Positive = Field(description="Tokens of each prompt.", examples=[512])
    shared_prefix_tokens: NotNegative = Field(default=0, description="How many first tokens all prompts share.")
    seed: NotNegative = Field(default=0, description="Another seed, another prompt set.")

    @model_validator(mode="after")
    def _fits(self) -> SyntheticSection:
        if self.shared_prefix_tokens > self.input_tokens:
            raise wrong(
                f"shared_prefix_tokens ({self.shared_prefix_tokens}) is more than input_tokens ({self.input_tokens})"
            )
        if self.count * self.input_tokens > MAX_SYNTHETIC_TOKENS:
            raise wrong(
                f"{self.count * self.input_tokens:,} tokens in all; the most is {MAX_SYNTHETIC_TOKENS:,}",
                "fewer or shorter prompts measure as well",
            )
        return self


class PromptsSection(_Section):
    """Where the prompts come from, and what is asked of the model with each."""

    file: Text | None = Field(
        default=None,
        description="JSON Lines: prompt, prompt_token_ids or messages. Relative to the sweep file.",
        examples=["prompts/arc.jsonl"],
    )
    synthetic: SyntheticSection | None = Field(default=None, description="Random token ids instead of a file.")
    limit: Positive | None = Field(default=None, description="Only the first so many prompts.", examples=[200])
    output_tokens: Positive | None = Field(
        default=None, description="Exact number of tokens each prompt generates (end-of-text ignored).", examples=[128]
    )
    until_stop: bool = Field(default=False, description="Generate until the model stops, up to max_tokens.")
    max_tokens: Positive | None = Field(default=None, description="With until_stop: the most tokens a prompt may take.")

    @model_validator(mode="after")
    def _is_one_of_each(self) -> PromptsSection:
        if (self.file is None) == (self.synthetic is None):
            both = "has both file and synthetic" if self.file is not None else "has neither file nor synthetic"
            raise wrong(both, "write one: file: prompts.jsonl, or synthetic: {count: 64, input_tokens: 512}")
        if self.until_stop and self.output_tokens is not None:
            raise wrong("has both output_tokens and until_stop", "exactly so many tokens, or as many as it takes?")
        if self.until_stop and self.max_tokens is None:
            raise wrong("until_stop needs max_tokens", "a model that never stops would run forever")
        if not self.until_stop and self.output_tokens is None:
            raise wrong("doesn't say how much to generate", "write output_tokens: 128, or until_stop: true")
        if not self.until_stop and self.max_tokens is not None:
            raise wrong("max_tokens goes with until_stop: true", "output_tokens is exact and needs no maximum")
        return self


class SearchSection(_Section):
    """How configurations are chosen, and when to stop."""

    method: Literal["grid", "random", "tpe"] = Field(default="tpe", description="grid tries every combination in turn.")
    trials: Positive | None = Field(
        default=None, description="Stop after so many trials. Default: all of a grid, else 30.", examples=[40]
    )
    timeout: Duration | None = Field(
        default=None, description="Start no further trial after this long.", examples=["6h"]
    )
    seed: NotNegative = Field(default=0, description="Seed of the search.")


class ObjectiveSection(_Section):
    """The one metric to optimise."""

    maximize: str | None = Field(default=None, description="A metric.", examples=["output_throughput_tok_s"])
    minimize: str | None = Field(default=None, description="A metric.", examples=["p95_ttft_s"])

    @model_validator(mode="before")
    @classmethod
    def _is_single(cls, value: Any) -> Any:
        if isinstance(value, list) or (isinstance(value, dict) and {"maximize", "minimize"} <= value.keys()):
            raise wrong(
                "several objectives are not in this version",
                "keep one, and hold the others with constraints: [p95_ttft_s <= 5]",
            )
        if isinstance(value, dict) and not value:
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


class MeasureSection(_Section):
    """How often the prompt set is traversed in a trial."""

    warmup_passes: NotNegative = Field(default=MeasureSpec().warmup_passes, description="Passes that don't count.")
    passes: Positive = Field(default=MeasureSpec().passes, description="Timed passes: the samples.")
    max_seconds: Duration | None = Field(
        default=None, description="Start no further timed pass once they have run this long.", examples=[120]
    )


class DeadlinesSection(_Section):
    """How long a step of a trial may take before the trial is stopped as timed out."""

    load: Duration = Field(default=Deadlines().load_s, description="Starting the engine.", examples=["15m"])
    pass_: Duration = Field(default=Deadlines().pass_s, alias="pass", description="One pass.", examples=["10m"])
    close: Duration = Field(default=Deadlines().close_s, description="Shutting the engine down.", examples=["60s"])


class EmulateSection(_Section):
    """Another card, whose memory and abilities this machine's trials are held to."""

    profile: Text = Field(description="The hardware profile of that card.", examples=["t4"])
    memory_fraction: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="At most this share of the memory of the card that is here.",
        examples=[0.625],
    )

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise wrong(f"expected keys and values, got {shown(value)}", f"write {{profile: {value}}}")
        return value


class SweepFile(_Section):
    """A vbench sweep: one model, one prompt set, and the engine settings to try."""

    name: Name | None = Field(
        default=None, description="Names the results folder. Default: the file's name.", examples=["t4"]
    )
    description: str = Field(default="", description="What this sweep is to find out.")
    model: Text = Field(
        description="A folder with config.json, relative to the sweep file, or a hub id.",
        examples=["Qwen/Qwen2.5-7B-Instruct"],
    )
    engine: Literal["vllm", "fake"] = Field(default="vllm", description="fake computes its numbers, for trying vbench.")
    python: Text | None = Field(
        default=None, description="Interpreter that holds the engine. Default: the one that runs vbench."
    )
    hardware: Text = Field(default="auto", description="A hardware profile; auto is this machine.")
    emulate: EmulateSection | None = Field(
        default=None, description="Hold trials to another, smaller card.", examples=[{"profile": "t4"}]
    )
    prompts: PromptsSection = Field(description="The fixed prompts, and how much each generates.")
    engine_args: dict[str, Any] = Field(
        default={}, description="Engine arguments of every trial.", examples=[{"dtype": "float16"}]
    )
    environment: Variables = Field(default={}, description="Environment variables of every trial.")
    parameters: Domains = Field(
        default={},
        description="Engine arguments to try: a list of options, or {low, high, step, log}.",
        examples=[{"max_num_seqs": [64, 128, 256]}],
    )
    search: SearchSection = Field(default=SearchSection(), description="How configurations are chosen.")
    objective: ObjectiveSection = Field(
        default=ObjectiveSection(maximize="output_throughput_tok_s"), description="The metric to optimise."
    )
    constraints: list[str] = Field(
        default=[], description="Bounds on metrics or parameters.", examples=[["peak_memory_mib <= 15360"]]
    )
    measure: MeasureSection = Field(default=MeasureSection(), description="How often the prompt set is traversed.")
    deadlines: DeadlinesSection = Field(default=DeadlinesSection(), description="When a step has hung.")
    worker_start: Literal["auto", "fork", "cold"] = Field(
        default="auto", description="Fork trials from a warm process, or start each cold."
    )
    baseline: dict[str, Any] | None = Field(
        default=None, description="A configuration always tried; gains are stated against it.", examples=[{}]
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a sweep file, for editors."""
    schema = SweepFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "vbench sweep file"}
