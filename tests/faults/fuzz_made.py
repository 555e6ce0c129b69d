"""Sweep files made up by the JSON Schema, with wrong values here and there; and small texts that explode."""

from __future__ import annotations

import json
import random
from typing import Any

from vbench.spec.dump import dump_yaml
from vbench.spec.model import json_schema

Draw = random.Random
WORDS = (
    *("\t", "\0", "\r", "\x85", "\u2028", "\ufeff", "\ud800", "\U0001f600", "\x1b[31m", "\n", "\n\n", " ", "  "),
    *("&a ", "*a", "<<: *a", "? ", ": ", "- ", "-", "[", "]", "{", "}", ",", "|", ">", "|2-", "#", "%YAML 1.1", "---"),
    *(
        "...",
        "!!python/object/apply:os.system [true]",
        "!!int",
        "!x ",
        "'",
        '"',
        '"\\ud800"',
        '"\\UFFFFFFFF"',
        "@",
        "`",
    ),
    *("1e999", "-.inf", ".nan", "0x1F", "0o7", "010", "1_000", "1__0", "9" * 40, "1" * 5000, "1e-400", "-0.0", "1:30"),
    *("2026-11-22", "1.10", "1.2.3", "true", "yes", "null", "~", "none", "None", "''", "1h30m", "50%", "nan%"),
    *(
        "a <= 1",
        "peak_memory_gib <= 1e308",
        "x <= 1__0",
        "../../..",
        "/",
        "~",
        "~nobody",
        "/dev/zero",
        "/proc/self/mem",
    ),
    *("shape:llama", "{low: 1, high: 9}", "{low: 0, high: 999999}", "{low: -1e308, high: 1e308}", "{const: 1}"),
    *("low", "high", "step", "log", "model", "environment.VBENCH_RUN", "load.max_concurrency", "sampling.n", "a" * 600),
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**62,
        1.5,
        1e308,
        5e-324,
        "",
        "none",
        "x",
        "é" * 300,
        [],
        {},
        [None],
        [[]],
        "1e999",
    ),
    *(
        [1, 1],
        ["a", {"a": {}}],
        {"low": 1, "high": 4},
        {"low": 0.1, "high": 0.2, "log": True},
        {"low": 1},
        {"const": []},
    ),
    *({"a": {"b": {}}}, {"model": "x"}, [{"a": {"x": [1, 2]}}, {"a.x": {"y": 1}}], {"shape": "x"}, list(range(50))),
)
_SCHEMA = json_schema()


def from_scratch(draw: Draw) -> bytes:
    """A file by the JSON Schema, with keys left out and values of the wrong kind here and there."""
    value = _by_schema(draw, _SCHEMA, 0)
    if isinstance(value, dict):
        if draw.random() < 0.8:
            value["model"] = draw.choice(("org/name", {"shape": "qwen2.5-0.5b"}, "models/demo/base"))
            value["prompts"] = {"synthetic": {"count": draw.randrange(1, 9), "input_tokens": 4}, "output_tokens": 8}
        if draw.random() < 0.8:
            value.pop("more_objectives", None)
            value["objective"] = {"maximize": "output_throughput_tok_s"}
        value["parameters"] = {draw.choice(_ARGUMENTS): _domain(draw, 0) for _ in range(draw.randrange(4))}
    return written(draw, value)


_ARGUMENTS = (
    *("max_num_seqs", "quantization", "speculative_config", "gpu_memory_utilization", "max_model_len", "mode", "model"),
    *(
        "load.max_concurrency",
        "sampling.n",
        "environment.A",
        "replicas",
        "dtype",
        "tensor_parallel_size",
        "lora_modules",
    ),
)


def _domain(draw: Draw, depth: int) -> Any:
    if draw.random() < 0.3:
        low = draw.choice((0, 1, 0.5, -3))
        return {"low": low, "high": low + draw.choice((1, 7, 0.25)), **draw.choice(({}, {"step": 1}, {"log": True}))}
    options: list[Any] = [draw.choice((1, 2, 4, "none", "awq", "auto", 0.9, True)) for _ in range(draw.randrange(1, 4))]
    if depth < 3 and draw.random() < 0.4:
        options.append({draw.choice(("a", "b.c", "none")): {draw.choice(_ARGUMENTS): _domain(draw, depth + 1)}})
    return options


def _by_schema(draw: Draw, schema: Any, depth: int) -> Any:
    if draw.random() < 0.02 or depth > 8:
        return json.loads(json.dumps(draw.choice(VALUES)))
    if "$ref" in schema:
        schema = _SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return _by_schema(draw, draw.choice(schema["anyOf"]), depth + 1)
    for fixed in ("const", "enum", "examples"):
        if fixed in schema and draw.random() < 0.7:
            return schema[fixed] if fixed == "const" else draw.choice(schema[fixed])
    match schema.get("type"):
        case "object":
            chance = 0.15 if depth == 0 else 0.35
            needed = schema.get("required", ())
            properties = schema.get("properties", {})
            return {
                key: _by_schema(draw, inner, depth + 1)
                for key, inner in properties.items()
                if draw.random() < (0.95 if key in needed else chance)
            }
        case "array":
            return [_by_schema(draw, schema.get("items", {}), depth + 1) for _ in range(draw.randrange(3))]
        case "integer":
            return draw.choice((0, 1, 2, 5, 12, 2**40))
        case "number":
            return draw.choice((0.5, 1, 0.05, 90, -1.5))
        case "boolean":
            return draw.random() < 0.5
        case "null":
            return None
    return draw.choice(("x", "90s", "2%", "org/name", draw.choice(WORDS)))


def bomb(draw: Draw) -> str:
    """A small text that would become a large value, or takes long to read."""
    size = 10 ** draw.choice((2, 3, 4, 5))
    bodies = (
        "[" * size, "{a: " * size, "- " * size, "[" + "a," * size, "'" + "a\n" * size, "1" * size + "x",
        "a: 1\n" * size,
        "&a [" + "x," * 99 + "]\n" + "".join(f"k{n}: [{'*a,' * 99}]\n" for n in range(size // 100)),
        f"{{&a \"{'x' * size}\": 1, b: [{'*a,' * (size // 10)}]}}", "? " + "k" * size + f"\n: [{'1,' * (size // 10)}]",
        "".join(f"k{n}: &a{n} [{f'*a{n - 1},' * 9 if n else 'x'}]\n" for n in range(20)),
    )  # fmt: skip
    head = "model: org/name\nprompts: {synthetic: {count: 2, input_tokens: 4}, output_tokens: 8}\n"
    places = ("engine_args: ", "parameters: ", "constraints: ", "search: {timeout: ", "", "baseline: ", "environment: ")
    return head + draw.choice(places) + draw.choice(bodies) + "\n"


def written(draw: Draw, value: Any) -> bytes:
    """As block YAML, or as JSON, which is YAML too and quicker."""
    text = dump_yaml(value) if draw.random() < 0.03 else json.dumps(value)
    return text.encode("utf-8", "surrogatepass")
