"""Model shapes that ship with vbench: numbers of well-known models, so that a plan needs no download."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Any

from vbench.errors import Problem, SpecError
from vbench.planner.shape import ModelShape
from vbench.planner.shape_reader import read_shape
from vbench.spec.suggest import did_you_mean

_FOLDER = "shapes"
_DUMMY_QUANTIZATION: dict[str, dict[str, Any]] = {
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"},
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "desc_act": False},
}


@lru_cache(maxsize=1)
def shape_names() -> tuple[str, ...]:
    """Every shipped shape's name, sorted."""
    files = resources.files("vbench.planner").joinpath(_FOLDER).iterdir()
    return tuple(sorted(file.name.removesuffix(".json") for file in files if file.name.endswith(".json")))


@lru_cache(maxsize=64)
def _read(name: str) -> str:
    if name not in shape_names():
        hint = did_you_mean(name, shape_names()) or f"one of {', '.join(shape_names())}"
        raise SpecError("model", [Problem(key="shape", message=f"{name!r} isn't shipped", hint=hint)])
    return resources.files("vbench.planner").joinpath(_FOLDER, f"{name}.json").read_text(encoding="utf-8")


def shipped_entry(name: str) -> dict[str, Any]:
    """The data file: `source`, `parameters` (published count) and `config`. Raises SpecError with a suggestion."""
    entry: dict[str, Any] = json.loads(_read(name.lower()))
    return entry


def shipped_config(name: str) -> dict[str, Any]:
    """The shape's `config.json`, as far as it decides memory."""
    config: dict[str, Any] = shipped_entry(name)["config"]
    return config


def dummy_config(name: str, quantization: str | None = None) -> dict[str, Any]:
    """A whole `config.json` for `load_format: dummy`: the shape without rope tables that only real weights need, and
    with a 4-bit `quantization_config` in groups of 128 for awq or gptq. Raises SpecError for another method."""
    config = {key: value for key, value in shipped_config(name).items() if key != "rope_scaling"}
    method = (quantization or "none").removeprefix("auto_").removesuffix("_marlin")
    if method == "none":
        return config
    if method not in _DUMMY_QUANTIZATION:
        hint = "a shape has dummy weights for awq and gptq"
        raise SpecError("model", [Problem(key="quantization", message=f"no dummy {quantization}", hint=hint)])
    return {**config, "dtype": "float16", "quantization_config": dict(_DUMMY_QUANTIZATION[method])}


@lru_cache(maxsize=64)
def shipped_shape(name: str) -> ModelShape:
    """The shape of that name; raises SpecError with a suggestion."""
    shape = read_shape(shipped_config(name), f"shape {name}")
    if not isinstance(shape, ModelShape):
        raise SpecError("model", [Problem(key="shape", message=f"{name!r}: {shape.reason}")])
    return shape


def shape_of_hub_id(model: str) -> str | None:
    """The shipped shape of a hub id (`Qwen/Qwen2.5-7B-Instruct-AWQ` is `qwen2.5-7b`), None when none is meant.

    By the longest shipped name that the id's last part starts with, up to a dash; so `Llama-3.2-3B-Instruct` is not
    `llama-3.2-1b`. A quantized checkpoint keeps its own `quantization_config`, which isn't known here.
    """
    last = model.rsplit("/", 1)[-1].lower().removeprefix("meta-")
    last = last.replace("deepseek-llm-7b", "deepseek-7b")
    if last.startswith("mixtral-8x7b"):
        return "mixtral-8x7b"
    fitting = [name for name in shape_names() if last == name or last.startswith(name + "-")]
    return max(fitting, key=len, default=None)
