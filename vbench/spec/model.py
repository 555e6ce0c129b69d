"""The sweep file as strict pydantic models: what each key may hold, checked one section at a time.

What needs more than one section, or the disk, is checked by `loader`; parameter domains by `parameters`. Editors get
the same models as a JSON Schema (`vbench schema`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from vbench.spec.calling import SHAPE_PREFIX, GoodputSection, LoadSection
from vbench.spec.fields import Domains, Duration, Name, NotNegative, Positive, Share, Text, Variables, wrong
from vbench.spec.problems import shown
from vbench.spec.prompts_section import PromptsSection
from vbench.spec.quality_section import QualitySection
from vbench.spec.search_section import ObjectiveSection, SearchSection, or_a_list
from vbench.spec.types import Deadlines, MeasureSpec

FEWEST_FOR_INTERVAL = 5
"""Timed passes that are made with `until` whatever they show, as the worker has it."""
_NARROWEST, _WIDEST = 0.001, 0.5


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


class MeasureSection(_Section):
    """How often the prompt set is traversed in a trial."""

    warmup_passes: NotNegative = Field(default=MeasureSpec().warmup_passes, description="Passes that don't count.")
    passes: Positive = Field(default=MeasureSpec().passes, description="Timed passes: the samples.")
    max_seconds: Duration | None = Field(
        default=None, description="Start no further timed pass once they have run this long.", examples=[120]
    )
    until: Share | None = Field(
        default=None,
        description="Go on until the 95 % interval's half-width is at most this share of the value.",
        examples=["2%"],
    )
    max_passes: Positive = Field(
        default=MeasureSpec().max_passes, description="The most timed passes, where `until` is given."
    )
    settle: bool = Field(
        default=MeasureSpec().settle,
        description="Drop the first timed passes where they differ from the rest, and make up for them.",
    )
    reset_prefix_cache: bool = Field(
        default=MeasureSpec().reset_prefix_cache, description="Forget the prefix cache before each pass."
    )
    repeat_spoiled: bool = Field(
        default=MeasureSpec().repeat_spoiled, description="Run a trial once more that something else disturbed."
    )
    reference_every: NotNegative | None = Field(
        default=None,
        description="Measure the baseline again after so many trials, to see drift; 0: never.",
        examples=[10],
    )

    @field_validator("until")
    @classmethod
    def _is_reachable(cls, value: float | None) -> float | None:
        if value is not None and not _NARROWEST <= value <= _WIDEST:
            raise wrong(
                f"an interval of ±{value:.3%} is no aim: from {_NARROWEST:.1%} to {_WIDEST:.0%} is",
                "write 2%; passes differ by about 1 % on a quiet machine",
            )
        return value

    @field_validator("max_passes")
    @classmethod
    def _has_room(cls, value: int, info: ValidationInfo) -> int:
        """Called only where the key is given; a key before it that is wrong itself isn't in `info`."""
        if "until" not in info.data or "passes" not in info.data:
            return value
        fewest = max(info.data["passes"], FEWEST_FOR_INTERVAL)
        if info.data["until"] is None:
            raise wrong("max_passes needs until", "add until: 2%, or write passes for a fixed number")
        if value < fewest:
            raise wrong(f"max_passes {value} is fewer than the {fewest} that are always made with until",
                        f"write {max(fewest, MeasureSpec().max_passes)}, or fewer passes")  # fmt: skip
        return value

    @model_validator(mode="after")
    def _goes_on(self) -> MeasureSection:
        """More passes than the default of `max_passes`, which nobody wrote."""
        if self.until is not None and self.passes > self.max_passes:
            raise wrong(
                f"until has no room: {self.passes} passes are made whatever it shows, and max_passes is "
                f"{self.max_passes}",
                f"write max_passes: {2 * self.passes}, or fewer passes",
            )
        return self


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


def _model_text(value: object) -> object:
    """`{shape: NAME}` as the text that it is kept as."""
    if not isinstance(value, dict):
        return value
    if set(value) == {"shape"} and isinstance(value["shape"], str) and value["shape"]:
        return SHAPE_PREFIX + value["shape"].lower()
    raise wrong("expected a folder, a hub id or {shape: NAME}", "such as {shape: qwen2.5-0.5b}")


Model = Annotated[
    Text,
    BeforeValidator(_model_text),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "object",
                    "required": ["shape"],
                    "additionalProperties": False,
                    "properties": {"shape": {"type": "string", "examples": ["qwen2.5-0.5b"]}},
                },
            ]
        }
    ),
]


class SweepFile(_Section):
    """A vbench sweep: one model, one prompt set, and the engine settings to try."""

    name: Name | None = Field(
        default=None, description="Names the results folder. Default: the file's name.", examples=["t4"]
    )
    description: str = Field(default="", description="What this sweep is to find out.")
    model: Model = Field(
        description="A folder with config.json, relative to the sweep file; a hub id; or {shape: NAME}, dummy weights.",
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
    mode: Literal["offline", "async", "server"] = Field(
        default="offline",
        description="How the engine is called: LLM.generate, AsyncLLM in process, or HTTP. The last two stream.",
    )
    replicas: Positive = Field(default=1, description="Engines side by side, the prompts split between them.")
    prompts: PromptsSection = Field(description="The fixed prompts, and how much each generates.")
    sampling: dict[str, Any] = Field(
        default={}, description="vLLM's SamplingParams, or beam_width. Default: greedy.", examples=[{"n": 2}]
    )
    load: LoadSection = Field(default=LoadSection(), description="When requests are sent, in async and server modes.")
    goodput: GoodputSection = Field(default=GoodputSection(), description="What a request must keep to count as good.")
    lora_modules: dict[str, Text] = Field(
        default={}, description="Adapter folders by name, given to the prompts in turn; needs enable_lora."
    )
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
        default=ObjectiveSection(maximize="output_throughput_tok_s"),
        description="The metric to optimise; or a list of them, of which the first decides what is called the best.",
        json_schema_extra=or_a_list,
        examples=[
            {"maximize": "output_throughput_tok_s"},
            [{"maximize": "request_throughput_req_s"}, {"minimize": "p95_ttft_s"}],
        ],
    )
    more_objectives: list[ObjectiveSection] = Field(
        default=[], description="The same as what a list under `objective` has after its first."
    )
    constraints: list[str] = Field(
        default=[], description="Bounds on metrics or parameters.", examples=[["peak_memory_mib <= 15360"]]
    )
    measure: MeasureSection = Field(default=MeasureSection(), description="How often the prompt set is traversed.")
    quality: QualitySection = Field(
        default=QualitySection(), description="Whether the answers are as good as the baseline's."
    )
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
