"""What the installed vLLM accepts: its version, its argument names with their choices; no model is loaded.

`translated` are arguments that this version lacks and `adapt` passes in other words (how), `removed` those that it
refuses (the sentence), `modes` the ways of calling it that this version has.

`typing.get_type_hints(EngineArgs)` raises NameError on some versions, so choices come from the dataclass fields and
from the narrow places that hold them; each is guarded, because a version that lacks one still has the rest.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import typing
from typing import Any, Collection, Dict, List, Optional, Tuple

from .vllm_argument_tables import ADDED, FLAT_SPECULATION, REMOVED
from .vllm_arguments import adapt, change_of
from .vllm_compat import UnsupportedArgument, is_cpu_build, platform, version_of

# One ordinary value of an argument that some release lacks: what becomes of it is what becomes of the argument.
_ORDINARY: Dict[str, Any] = {
    "attention_backend": "FLASHINFER",
    "attention_config": {"backend": "FLASHINFER"},
    "speculative_config": {"method": "ngram", "num_speculative_tokens": 1},
    "speculative_model": "[ngram]",
    "cudagraph_capture_sizes": [1, 2],
    "cuda_graph_sizes": [1, 2],
    "task": "generate",
    "runner": "generate",
    "worker_use_ray": True,
    "spec_method": "ngram",
}
_MODES: Dict[str, Tuple[str, ...]] = {
    "async": ("vllm.v1.engine.async_llm", "vllm.engine.async_llm_engine"),
    "server": ("vllm.entrypoints.openai.api_server",),
}
# Where the words of an argument's choices are, newest place first: a Literal, an Enum or a list.
_PLACES: Dict[str, Tuple[Tuple[str, str], ...]] = {
    "kv_cache_dtype": (("vllm.config.cache", "CacheDType"), ("vllm.config", "CacheDType")),
    "attention_backend": (
        ("vllm.v1.attention.backends.registry", "AttentionBackendEnum"),
        ("vllm.attention.backends.registry", "AttentionBackendEnum"),
        ("vllm.platforms.interface", "_Backend"),
        ("vllm.attention.selector", "_Backend"),
    ),
    "speculative_config.method": (
        ("vllm.config.speculative", "SpeculativeMethod"),
        ("vllm.config", "SpeculativeMethod"),
    ),
}


def describe() -> Dict[str, Any]:
    """`{engine, version, platform, modes, arguments: {name: {type, choices}}, translated, removed, choices,
    nested_keys, quantization_min_capability}`; `choices` are of what isn't an argument itself here."""
    import vllm

    if is_cpu_build() and _is_there("vllm._C"):
        # A wheel whose kernels were built for another system imports well and fails in every trial: say it here.
        importlib.import_module("vllm._C")
    from vllm.engine.arg_utils import EngineArgs

    arguments: Dict[str, Any] = {}
    for field in dataclasses.fields(EngineArgs):
        arguments[field.name] = {"type": str(field.type)[:200], "choices": _literal_choices(field.type)}
    others: Dict[str, List[str]] = {}
    for name, choices in _known_choices().items():
        if name in arguments:
            arguments[name]["choices"] = choices
        else:
            others[name] = choices
    translated, removed = names_without(vllm.__version__, arguments)
    return {
        "engine": "vllm",
        "version": vllm.__version__,
        "platform": platform(),
        "modes": modes(),
        "arguments": arguments,
        "translated": translated,
        "removed": removed,
        "choices": others,
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


def names_without(version: str, accepted: Collection[str]) -> Tuple[Dict[str, str], Dict[str, str]]:
    """Known arguments that a version lacks: those translated, and how; those refused, and the sentence."""
    translated: Dict[str, str] = {}
    removed: Dict[str, str] = {}
    for name in sorted({*ADDED, *REMOVED, *FLAT_SPECULATION.values()} - set(accepted)):
        change = change_of(version_of(version), name)
        try:
            translated[name] = adapt(version, accepted, {name: _ORDINARY.get(name, "…")}, {})[2][0]
        except UnsupportedArgument as refusal:
            if change is not None and change.same and change is ADDED.get(name):  # the run will see which value it is
                translated[name] = f"only {' or '.join(map(repr, change.same))}: {refusal}"
            else:
                removed[name] = str(refusal)
    return translated, removed


def modes() -> List[str]:
    """The ways of calling that the installed version has: those whose module is there (none is imported)."""
    return ["offline", *(mode for mode, modules in _MODES.items() if any(map(_is_there, modules)))]


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _known_choices() -> Dict[str, List[str]]:
    found: Dict[str, List[str]] = {}
    try:
        from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS

        found["quantization"] = list(QUANTIZATION_METHODS)
    except ImportError:
        pass
    for name, places in _PLACES.items():
        words = next(filter(None, (_words_at(*place) for place in places)), [])
        if words:
            found[name] = words
    return found


def _words_at(module: str, attribute: str) -> List[str]:
    try:
        return _words(getattr(importlib.import_module(module), attribute))
    except Exception:  # a version that keeps it elsewhere, or nowhere
        return []


def _words(source: Any) -> List[str]:
    """The words of a Literal (also of Literals within), or the names of an Enum."""
    members = getattr(source, "__members__", None)
    if members is not None:
        return [str(name) for name in members]
    words: List[str] = []
    for inner in typing.get_args(source):
        words += [inner] if isinstance(inner, str) else _words(inner)
    return list(dict.fromkeys(words))


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
