"""One sweep, many vLLMs: engine arguments as the installed version takes them.

Each argument that the user named is passed on, translated with a note for the record, or refused by name; none is
dropped in silence. What vLLM itself refuses in exact words is left to it. Sources: `vllm_argument_tables`; the method
draft_model: `_is_v1_supported_oracle` and its successors of 0.10.0 to 0.14.1 (NotImplementedError), 0.15.1 without;
`VLLM_ATTENTION_BACKEND`: read up to 0.14, gone by vLLM PR 32812.
"""

from __future__ import annotations

import difflib
import os
from typing import Any, Collection, Dict, List, Mapping, Optional, Tuple

from .vllm_argument_tables import (
    ADDED,
    DEPRECATED_QUANTIZATION,
    FLAT_METHODS,
    FLAT_SPECULATION,
    LAST_QUANTIZATION,
    PLUGIN_QUANTIZATION,
    REMOVED,
    SHORT_SPECULATION,
    Change,
    Version,
)
from .vllm_compat import NEWEST, Adaptation, UnsupportedArgument, version_of

BACKEND_VARIABLE = "VLLM_ATTENTION_BACKEND"
_V1_SUFFIX = "_VLLM_V1"


def adapt(
    version: str,
    accepted: Collection[str],
    engine_args: Mapping[str, Any],
    environ: Optional[Mapping[str, str]] = None,
) -> Tuple[Dict[str, Any], Dict[str, str], List[str]]:
    """The arguments as `version` takes them, variables to set before it is imported, and a note on each translation.

    `accepted` are the arguments that the installed engine has; `environ` stands for `os.environ`. Raises
    UnsupportedArgument for what can't be passed.
    """
    state = Adaptation(version, accepted, engine_args, os.environ if environ is None else environ)
    for step in (_speculation, _attention, _graphs, _compilation, _lengths, _kind, _renamed, _quantization):
        step(state)
    for name in [name for name in state.arguments if name not in state.accepted]:
        _leave_out_or_refuse(state, name)
    return state.arguments, state.environment, state.notes


def _speculation(state: Adaptation) -> None:
    """`spec_*` (0.24 on), `speculative_config` (0.8 on) and the flat arguments before: each in terms of the others."""
    arguments = state.arguments
    short = [name for name in SHORT_SPECULATION if state.lacks(name)]
    if short:
        config = {SHORT_SPECULATION[name]: arguments.pop(name) for name in short}
        state.set("speculative_config", config, " and ".join(short))
    is_flat = "speculative_model" in state.accepted
    flat = [name for name in FLAT_SPECULATION.values() if state.lacks(name)]
    if flat and "speculative_config" in state.accepted:
        keys = {name: key for key, name in FLAT_SPECULATION.items()}
        config = {keys[name]: arguments.pop(name) for name in flat}
        if config.get("model") == "[ngram]":
            config["method"] = "ngram"
            del config["model"]
        state.set("speculative_config", config, " and ".join(flat))
    named = arguments.get("speculative_config")
    config = named if isinstance(named, dict) else {}
    if is_flat and named is not None and state.lacks("speculative_config"):
        del arguments["speculative_config"]
        values = _flat(state, config)
        for name in set(values) & set(arguments):
            raise UnsupportedArgument(f"{name} is part of speculative_config, and both are named: keep one of them")
        arguments.update(values)
        said = ", ".join(f"{name}={value!r}" for name, value in sorted(values.items()))
        state.notes.append(f"speculative_config passed as {said}: {state.name} has no speculative_config")
    elif config.get("method") == "draft_model" and (0, 10, 0) <= state.version < (0, 15, 0):
        why = "the V1 engine of 0.10 to 0.14 has no draft models"
        raise state.refuse("speculative method draft_model", why, "use ngram or eagle, or vLLM 0.15 and later")


def _flat(state: Adaptation, config: Mapping[str, Any]) -> Dict[str, Any]:
    """`speculative_config` in the arguments of 0.5 to 0.7. A value that a key gets by default later is said here."""
    method = "ngram" if config.get("model") in ("ngram", "[ngram]") else config.get("method", "draft_model")
    if method not in FLAT_METHODS:
        raise state.refuse(f"speculative method {method}", "it is of vLLM 0.8 and later", "use ngram or a draft model")
    keys = {key: value for key, value in config.items() if key != "method" and value is not None}
    if method == "ngram":
        most = keys.get("prompt_lookup_max", keys.get("prompt_lookup_min", 5))  # 5: the default from 0.8 on
        keys.update(model="[ngram]", prompt_lookup_max=most, prompt_lookup_min=keys.get("prompt_lookup_min", most))
    unknown = [key for key in keys if FLAT_SPECULATION.get(key) not in state.accepted]
    if unknown:
        instead = "its keys are " + ", ".join(sorted(FLAT_SPECULATION))
        raise state.refuse(f"key of speculative_config named {unknown[0]}", "it came later", instead)
    flat = {FLAT_SPECULATION[key]: value for key, value in keys.items()}
    # 0.5 and 0.6.0 speculate with the second block manager only, which isn't their default.
    is_choice = "use_v2_block_manager" in state.accepted and state.version < (0, 7, 0)
    if is_choice and "use_v2_block_manager" not in state.arguments:
        flat["use_v2_block_manager"] = True
    return flat


def _attention(state: Adaptation) -> None:
    if state.lacks("attention_config"):
        config = state.arguments["attention_config"]
        if not isinstance(config, dict) or set(config) != {"backend"}:
            raise _absent(state, "attention_config")
        del state.arguments["attention_config"]
        state.set("attention_backend", config["backend"], "attention_config")
    named = state.arguments.get("attention_backend")
    preset = state.environ.get(BACKEND_VARIABLE)
    if state.version >= (0, 15, 0) and preset:
        state.notes.append(f"{BACKEND_VARIABLE}={preset} is ignored since vLLM 0.15: use attention_backend")
    if named is None:
        return
    name = _backend_name(state, str(named))
    if "attention_backend" in state.accepted:
        state.arguments["attention_backend"] = name
        if preset and preset != name and state.version < (0, 15, 0):  # which would win over the argument
            state.environment[BACKEND_VARIABLE] = name
            state.notes.append(f"{BACKEND_VARIABLE}={preset} gave way to attention_backend={name}")
    elif state.version >= (0, 15, 0):
        raise _absent(state, "attention_backend")
    else:
        del state.arguments["attention_backend"]
        state.environment[BACKEND_VARIABLE] = name
        state.notes.append(f"attention_backend passed as {BACKEND_VARIABLE}={name}: {state.name} has no such argument")


def _backend_name(state: Adaptation, name: str) -> str:
    """What this version calls a backend: 0.8 to 0.10 have two engines, and name the V1 ones apart."""
    known = name
    if state.version >= (0, 11, 0) and name.endswith(_V1_SUFFIX):
        known = name[: -len(_V1_SUFFIX)]
    elif name == "TRITON_ATTN" and (0, 8, 0) <= state.version < (0, 11, 0):
        known = name + _V1_SUFFIX
    elif state.version < (0, 8, 0) and name.startswith(("TRITON_ATTN", "FLEX_ATTENTION")):
        raise state.refuse(f"attention backend {name}", "it is of the V1 engine", "XFORMERS is the one for older cards")
    if known != name:
        state.notes.append(f"attention backend {name} is called {known} in {state.name}")
    return known


def _graphs(state: Adaptation) -> None:
    """Batch sizes of CUDA graphs. One `cuda_graph_sizes` is the greatest of a series, several are the sizes."""
    arguments = state.arguments
    if state.lacks("cuda_graph_sizes") and "cudagraph_capture_sizes" in state.accepted:
        sizes = arguments.pop("cuda_graph_sizes")
        if isinstance(sizes, (list, tuple)) and len(sizes) != 1:
            state.set("cudagraph_capture_sizes", list(sizes), "cuda_graph_sizes")
        else:
            greatest = sizes[0] if isinstance(sizes, (list, tuple)) else sizes
            state.set("max_cudagraph_capture_size", greatest, "cuda_graph_sizes")
    if state.lacks("max_cudagraph_capture_size") and "cuda_graph_sizes" in state.accepted:
        state.set("cuda_graph_sizes", [arguments.pop("max_cudagraph_capture_size")], "max_cudagraph_capture_size")
    if state.lacks("cudagraph_capture_sizes") and "compilation_config" in state.accepted:
        _into_compilation(state, "cudagraph_capture_sizes", "cudagraph_capture_sizes")


def _compilation(state: Adaptation) -> None:
    if state.lacks("optimization_level") and "compilation_config" in state.accepted:
        _into_compilation(state, "optimization_level", "level")  # what `-O` sets before 0.12


def _into_compilation(state: Adaptation, name: str, key: str) -> None:
    config = state.arguments.get("compilation_config") or {}
    if not isinstance(config, dict) or key in config:
        raise UnsupportedArgument(f"{name} is {key} of compilation_config in {state.name}: name it there alone")
    value = state.arguments.pop(name)
    state.arguments["compilation_config"] = {**config, key: value}
    state.notes.append(f"{name} passed as compilation_config.{key}={value!r}: {state.name} has no {name}")


def _lengths(state: Adaptation) -> None:
    wanted = state.arguments.get("max_model_len")
    if wanted in ("auto", -1) and wanted is not True:
        if state.version >= (0, 14, 0):
            state.arguments["max_model_len"] = -1
            if wanted == "auto":
                state.notes.append("max_model_len=auto passed as -1: the greatest that fits the memory")
        else:
            del state.arguments["max_model_len"]
            state.notes.append(
                f"max_model_len={wanted} left out: {state.name} can't fit it to the memory (0.14 and later do), so the "
                "model's own limit holds"
            )
    if state.lacks("max_context_len_to_capture") and "max_seq_len_to_capture" in state.accepted:
        length = state.arguments.pop("max_context_len_to_capture")
        state.set("max_seq_len_to_capture", length, "max_context_len_to_capture")


def _kind(state: Adaptation) -> None:
    """`task` became `runner`; only models that generate are measured."""
    if state.lacks("task") and "runner" in state.accepted and state.arguments["task"] == "generate":
        state.set("runner", state.arguments.pop("task"), "task")
    if state.lacks("runner") and "task" in state.accepted and state.arguments["runner"] in ("auto", "generate"):
        state.set("task", state.arguments.pop("runner"), "runner")


def _renamed(state: Adaptation) -> None:
    if state.lacks("worker_use_ray") and state.arguments["worker_use_ray"] is True:
        del state.arguments["worker_use_ray"]
        state.set("distributed_executor_backend", "ray", "worker_use_ray")
    if state.lacks("override_pooler_config") and "pooler_config" in state.accepted:
        state.set("pooler_config", state.arguments.pop("override_pooler_config"), "override_pooler_config")


def _quantization(state: Adaptation) -> None:
    name = state.arguments.get("quantization")
    if not isinstance(name, str):
        return
    last, gone = LAST_QUANTIZATION.get(name, ("", NEWEST))
    if last and state.version >= gone:
        raise UnsupportedArgument(f"{name}: last in vLLM {last}; name an interpreter with vllm ≤ {last} by `python:`")
    since, plugin = PLUGIN_QUANTIZATION.get(name, (NEWEST, ""))
    if plugin and state.version >= since:
        state.notes.append(f"quantization={name} needs {plugin} beside {state.name}")
    deprecated = [names for floor, names in DEPRECATED_QUANTIZATION if floor <= state.version]
    if deprecated and name in deprecated[-1] and not state.arguments.get("allow_deprecated_quantization"):
        why = "vLLM is about to drop it"
        raise state.refuse(f"{name} by default", why, "set allow_deprecated_quantization: true beside it")


def _leave_out_or_refuse(state: Adaptation, name: str) -> None:
    value = state.arguments[name]
    change = change_of(state.version, name)
    if value is None or (change is not None and any(value == one and type(value) is type(one) for one in change.same)):
        del state.arguments[name]
        state.notes.append(f"{name}={value!r} left out: {state.name} has no such argument and does that anyway")
        return
    raise _absent(state, name)


def change_of(version: Version, name: str) -> Optional[Change]:
    """Whether a known argument is yet to come or already gone, seen from a version that lacks it."""
    added = ADDED.get(name)
    if added is not None and version < version_of(added.release):
        return added
    return REMOVED.get(name)


def _absent(state: Adaptation, name: str) -> UnsupportedArgument:
    change = change_of(state.version, name)
    if change is None:
        near = difflib.get_close_matches(name, sorted(state.accepted), n=1, cutoff=0.65)
        meant = f"; did you mean {near[0]}?" if near else ""
        return UnsupportedArgument(f"{state.name} has no argument named {name}{meant}")
    when = f"from {change.release} on" if change is ADDED.get(name) else f"up to {change.release}"
    return state.refuse(f"argument named {name}", f"vLLM has it {when}", change.instead)
