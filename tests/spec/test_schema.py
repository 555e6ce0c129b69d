from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from vbench.spec.loader import json_schema, parse_spec
from vbench.spec.measure_section import FEWEST_FOR_INTERVAL
from vbench.spec.model import SweepFile
from vbench.spec.search_section import SearchSection
from vbench.spec.space import count_points
from vbench.spec.types import ENGINES, SEARCH_METHODS
from vbench.worker import pacing


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for holder in (schema, *schema["$defs"].values()):
        yield from holder["properties"].items()


def test_every_key_is_described_to_editors() -> None:
    assert [name for name, field in properties(json_schema()) if not field.get("description")] == []


def test_the_schema_is_strict_and_names_what_is_required() -> None:
    schema = json_schema()

    assert schema["required"] == ["model", "prompts"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["DeadlinesSection"]["properties"].keys() == {"load", "pass", "close", "release"}


def test_an_editor_takes_a_share_as_text_or_number() -> None:
    measure = json_schema()["$defs"]["MeasureSection"]["properties"]
    share, nothing = measure["until"]["anyOf"]

    assert [one["type"] for one in share["anyOf"]] == ["number", "string"]
    assert nothing == {"type": "null"}
    assert (measure["max_passes"]["default"], measure["settle"]["default"]) == (12, True)


def test_the_fewest_passes_of_an_interval_are_the_workers() -> None:
    assert FEWEST_FOR_INTERVAL == pacing.FEWEST_FOR_INTERVAL


def test_the_schema_is_json() -> None:
    assert json.loads(json.dumps(json_schema(), allow_nan=False)) == json_schema()


def test_an_editor_takes_one_objective_or_a_list_of_them() -> None:
    one = {"$ref": "#/$defs/ObjectiveSection"}

    written = json_schema()["properties"]["objective"]
    assert written["anyOf"] == [one, {"type": "array", "minItems": 1, "items": one}]
    assert "$ref" not in written


def test_the_words_are_those_of_the_types() -> None:
    assert get_args(SweepFile.model_fields["engine"].annotation) == ENGINES
    assert get_args(SearchSection.model_fields["method"].annotation) == SEARCH_METHODS


def test_the_reference_names_every_key() -> None:
    reference = (Path(__file__).parents[2] / "docs" / "sweep-file.md").read_text(encoding="utf-8")

    assert [name for name, _ in properties(json_schema()) if f"`{name}`" not in reference] == []


def test_the_example_of_the_reference_is_sound(tmp_path: Path) -> None:
    reference = (Path(__file__).parents[2] / "docs" / "sweep-file.md").read_text(encoding="utf-8")
    example = reference.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "arc.jsonl").write_text("")

    spec = parse_spec(example, tmp_path / "t4.yaml")

    assert count_points(spec.parameters) == 192
