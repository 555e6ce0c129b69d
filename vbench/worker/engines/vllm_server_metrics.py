"""What `/metrics` of a vLLM server says, in the names of our records."""

from __future__ import annotations

import re
from typing import Dict, NamedTuple, Optional

from . import vllm_common as common
from .http_control import samples

_TOTAL = "_total"  # which Prometheus' client appends to the names that the library's `get_metrics` shows


class _Counter(NamedTuple):
    name: str
    value: float


def counters_of(exposition: str) -> Dict[str, float]:
    """Our counters by name, summed over engines."""
    return common.counters_of(
        _Counter(name[: -len(_TOTAL)], value) for name, _, value in samples(exposition) if name.endswith(_TOTAL)
    )


def cache_facts(exposition: str) -> Dict[str, Optional[int]]:
    """The KV space, which the engine tells in the labels of a gauge."""
    for name, labels, _ in samples(exposition):
        if name == "vllm:cache_config_info":
            blocks, block_size = _whole(labels.get("num_gpu_blocks")), _whole(labels.get("block_size"))
            tokens = _whole(labels.get("kv_cache_size_tokens"))  # exact for hybrid models too, where a version says it
            product = blocks * block_size if blocks and block_size else None
            return {"num_gpu_blocks": blocks, "block_size": block_size, "kv_cache_tokens": tokens or product}
    return {}


def _whole(text: Optional[str]) -> Optional[int]:
    return int(text) if text is not None and re.fullmatch("[0-9]{1,18}", text) else None
