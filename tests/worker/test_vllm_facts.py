"""What a vLLM configuration says of each lever, from its objects and from a server's JSON."""

from __future__ import annotations

import enum
import json
from types import SimpleNamespace
from typing import Any, ClassVar

from vbench.worker.engines.vllm_facts import facts_of


class _Mode(enum.Enum):
    FULL_AND_PIECEWISE = (2, 1)


class TestFacts:
    CONFIG: ClassVar[dict[str, Any]] = {
        "model_config": {"dtype": "torch.bfloat16", "quantization": None},
        "cache_config": {"block_size": 16, "num_gpu_blocks": 10, "kv_cache_size_tokens": None},
        "offload_config": {"uva": {"cpu_offload_gb": 2.0}},
        "compilation_config": {"mode": 3, "cudagraph_mode": [2, 1], "cudagraph_capture_sizes": [1, 2, 4]},
        "lora_config": None,
        "speculative_config": {"method": "ngram", "num_speculative_tokens": 3},
        "optimization_level": 2,
    }
    EXPECTED: ClassVar[dict[str, Any]] = {
        "dtype": "bfloat16",
        "quantization": None,
        "block_size": 16,
        "kv_cache_tokens": 160,
        "cpu_offload_gb": 2.0,
        "compilation_mode": "VLLM_COMPILE",
        "cudagraph_mode": "FULL_AND_PIECEWISE",
        "cudagraph_capture_sizes": [1, 2, 4],
        "enable_lora": False,
        "max_loras": None,
        "speculative_method": "ngram",
        "num_speculative_tokens": 3,
        "optimization_level": 2,
    }

    def test_of_nested_dicts(self) -> None:
        found = facts_of(self.CONFIG)

        assert {name: found[name] for name in self.EXPECTED} == self.EXPECTED
        assert "max_num_seqs" not in found  # no such section: a version that hasn't it

    def test_of_objects(self) -> None:
        config = json.loads(json.dumps(self.CONFIG), object_hook=lambda fields: SimpleNamespace(**fields))
        config.compilation_config.cudagraph_mode = _Mode.FULL_AND_PIECEWISE
        found = facts_of(config)

        assert {name: found[name] for name in self.EXPECTED} == self.EXPECTED

    def test_an_older_versions_places(self) -> None:
        found = facts_of(
            {"cache_config": {"cpu_offload_gb": 1, "swap_space_bytes": 4}, "compilation_config": {"level": 0}}
        )

        assert (found["cpu_offload_gb"], found["swap_space_bytes"], found["compilation_mode"]) == (1, 4, "NONE")

    def test_json_can_hold_them(self) -> None:
        odd = {
            "parallel_config": {"distributed_executor_backend": dict},
            "attention_config": {"backend": _Mode((2, 1))},
        }
        found = json.loads(json.dumps(facts_of(odd)))

        assert found["distributed_executor_backend"] == "dict"
        assert found["attention_backend"] == "FULL_AND_PIECEWISE"
