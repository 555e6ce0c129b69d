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
    WithJsonSchema,
    model_validator,
)

from vbench.spec.calling import SHAPE_PREFIX, GoodputSection, LoadSection
from vbench.spec.fields import (
    MAX_REPLICAS,
    Domains,
    Name,
    Positive,
    Text,
    Variables,
    wrong,
)
from vbench.spec.measure_section import DeadlinesSection, MeasureSection
from vbench.spec.problems import shown
from vbench.spec.prompts_section import PromptsSection
from vbench.spec.quality_section import QualitySection
from vbench.spec.search_section import ObjectiveSection, SearchSection, or_a_list


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


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
    replicas: Positive = Field(
        default=1, le=MAX_REPLICAS, description="Engines side by side, the prompts split between them."
    )
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
