"""Which settings of a configuration let the engine run code from elsewhere: a model's own, or a file's that a setting
names. vbench sets none of them; a sweep may, and then everything that shows its numbers says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vbench.records.record import TrialRecord

TRUST = "trust_remote_code"
_OF_CLASSES = (
    "worker_cls", "worker_extension_cls", "scheduler_cls", "logits_processors", "reasoning_parser_plugin",
    "tool_parser_plugin", "io_processor_plugin", "kv_connector_module_path", "middleware", "data_parallel_backend_cls",
)  # fmt: skip
_VARIABLES = ("LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "VLLM_PLUGINS")
_UNPICKLED = ("pt", "npcache")
_LONGEST = 80
_MOST = 8


def foreign_code(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings of that kind, as they are written, wherever they stand in the configuration.

    >>> foreign_code({"model": "m", "speculative_config": {"model": "d", "trust_remote_code": True}})
    ('speculative_config.trust_remote_code',)
    """
    return tuple(dict.fromkeys(_found(config, "")))


def foreign_code_note(configs: Iterable[Mapping[str, Any]]) -> str | None:
    """A sentence that says so; None where no configuration has any."""
    found = list(dict.fromkeys(one for config in configs for one in foreign_code(config)))
    if not found:
        return None
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    named = ", ".join(found[:_MOST]) + more
    what = "code from the model's repository" if all(one.endswith(TRUST) for one in found) else "code from elsewhere"
    return f"the engine may run {what}, as the sweep allows it: {named}"


def note_of_records(records: Iterable[TrialRecord]) -> str | None:
    """The same, of trials."""
    return foreign_code_note(record.config for record in records)


def _found(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            name = str(key)
            at = f"{path}.{name}" if path else name
            if _is_foreign(name, inner):
                yield at[-_LONGEST:]
            if isinstance(inner, (Mapping, list, tuple)):
                yield from _found(inner, at)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _found(inner, path)


def _is_foreign(name: str, value: Any) -> bool:
    if name.rpartition(".")[2] == TRUST:
        return value not in (False, None, 0, "", "false", "False")
    if name in _OF_CLASSES or name.rpartition(".")[2] in _VARIABLES:
        return value not in (None, "", [], "auto")
    return name == "load_format" and value in _UNPICKLED
