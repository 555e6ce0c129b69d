"""What the installed vLLM accepts: its version, its argument names with their choices; no model is loaded.

`typing.get_type_hints(EngineArgs)` raises NameError on some versions, so choices come from the dataclass fields and
from the narrow places that hold them; each is guarded, because a version that lacks one still has the rest.
"""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, Dict, List, Optional


def describe() -> Dict[str, Any]:
    """`{engine, version, platform, arguments: {name: {type, choices}}, nested_keys, quantization_min_capability}`."""
    import vllm
    from vllm.engine.arg_utils import EngineArgs
    from vllm.platforms import current_platform

    arguments: Dict[str, Any] = {}
    for field in dataclasses.fields(EngineArgs):
        arguments[field.name] = {"type": str(field.type)[:200], "choices": _literal_choices(field.type)}
    for name, choices in _known_choices().items():
        if name in arguments and choices:
            arguments[name]["choices"] = choices
    return {
        "engine": "vllm",
        "version": vllm.__version__,
        "platform": str(current_platform.device_type or "unknown"),
        "arguments": arguments,
        "quantization_min_capability": _quantization_min_capability(),
        **_speculative(),
    }


def _literal_choices(annotation: Any) -> Optional[List[Any]]:
    """The members of a Literal, also inside Optional; None when the annotation isn't one."""
    origin = typing.get_origin(annotation)
    if origin is getattr(typing, "Literal", None):
        return [choice for choice in typing.get_args(annotation) if isinstance(choice, (str, int, bool))]
    members = [inner for inner in typing.get_args(annotation) if inner is not type(None)]
    if len(members) == 1 and members[0] is not annotation:
        return _literal_choices(members[0])
    return None


def _known_choices() -> Dict[str, List[str]]:
    found: Dict[str, List[str]] = {}
    try:
        from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS

        found["quantization"] = list(QUANTIZATION_METHODS)
    except ImportError:
        pass
    return found


def _quantization_min_capability() -> Dict[str, Optional[int]]:
    """By method, the least compute capability × 10 (75); None where the engine doesn't say. Empty without a list."""
    try:
        from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS, get_quantization_config
    except ImportError:
        return {}
    found: Dict[str, Optional[int]] = {}
    for name in QUANTIZATION_METHODS:
        try:
            found[str(name)] = int(get_quantization_config(name).get_min_capability())
        except Exception:  # one method's missing library says nothing of the others
            found[str(name)] = None
    return found


def _speculative() -> Dict[str, Any]:
    try:
        from vllm.config import SpeculativeConfig

        keys = [field.name for field in dataclasses.fields(SpeculativeConfig)]
    except (ImportError, TypeError):
        return {"nested_keys": {}}
    return {"nested_keys": {"speculative_config": keys}}
