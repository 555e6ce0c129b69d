"""Small models for the real engine: config.json only, with dummy weights, and a way to start each and read what vLLM
says. One keeper serves all; a case takes a second or two."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vbench.execution.engine_log import facts_in, read_log
from vbench.execution.interpreters import find_interpreter
from vbench.execution.keeper_client import Keeper
from vbench.execution.runner import run_trial
from vbench.planner.abilities import EngineAbilities
from vbench.planner.budget import Budget, parse_version
from vbench.planner.shape_reader import read_shape
from vbench.planner.verdict import Plan, plan
from vbench.spec.types import Deadlines

MIB = 1024**2
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
_COMMON = {"hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2, "dtype": "bfloat16", "rms_norm_eps": 1e-6}
_LLAMA = {
    **_COMMON, "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 256,
    "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
    "intermediate_size": 768, "vocab_size": 1024, "max_position_embeddings": 2048, "tie_word_embeddings": False,
}  # fmt: skip
_AWQ = {"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True, "version": "gemm"}
_GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "desc_act": False}
_INT8 = {
    "quant_method": "compressed-tensors", "format": "int-quantized", "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {"group_0": {
        "targets": ["Linear"],
        "weights": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False},
        "input_activations": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True},
    }},
}  # fmt: skip
_W4A16 = {
    "quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {"group_0": {
        "targets": ["Linear"],
        "weights": {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 128},
    }},
}  # fmt: skip

MODELS: dict[str, dict[str, Any]] = {
    "llama-gqa": _LLAMA,
    "llama-bias-odd-vocab": {**_LLAMA, "attention_bias": True, "mlp_bias": True, "vocab_size": 1100},
    "qwen2-tied": {
        **_COMMON, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 192,
        "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 512,
        "vocab_size": 1500, "max_position_embeddings": 4096, "tie_word_embeddings": True,
    },
    "qwen3-mqa": {
        **_COMMON, "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 128,
        "num_hidden_layers": 5, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 64,
        "intermediate_size": 384, "vocab_size": 1024, "max_position_embeddings": 2048, "tie_word_embeddings": False,
    },
    "opt": {
        "architectures": ["OPTForCausalLM"], "model_type": "opt", "hidden_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "ffn_dim": 512, "vocab_size": 1100, "max_position_embeddings": 1024,
        "word_embed_proj_dim": 128, "do_layer_norm_before": True, "activation_function": "relu",
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 1, "dtype": "float16",
    },
    "mistral-window": {
        **_COMMON, "architectures": ["MistralForCausalLM"], "model_type": "mistral", "hidden_size": 256,
        "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 32,
        "intermediate_size": 512, "vocab_size": 1024, "max_position_embeddings": 4096, "sliding_window": 256,
        "tie_word_embeddings": False,
    },
    "phi3-mha": {
        **_COMMON, "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "hidden_size": 192,
        "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 6, "intermediate_size": 512,
        "vocab_size": 1024, "max_position_embeddings": 2048, "tie_word_embeddings": False, "pad_token_id": 0,
    },
    "gemma2-hybrid": {
        **_COMMON, "architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "hidden_size": 128,
        "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
        "intermediate_size": 256, "vocab_size": 1024, "max_position_embeddings": 4096, "sliding_window": 512,
        "query_pre_attn_scalar": 64, "hidden_activation": "gelu_pytorch_tanh",
    },
    "gemma3-hybrid": {
        **_COMMON, "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "hidden_size": 128,
        "num_hidden_layers": 13, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 64,
        "intermediate_size": 256, "vocab_size": 1024, "max_position_embeddings": 4096, "sliding_window": 128,
        "query_pre_attn_scalar": 64, "hidden_activation": "gelu_pytorch_tanh",
    },
    "mixtral-moe": {
        **_COMMON, "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "hidden_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 256,
        "vocab_size": 1024, "max_position_embeddings": 2048, "num_local_experts": 4, "num_experts_per_tok": 2,
        "sliding_window": None, "tie_word_embeddings": False,
    },
    "deepseek-mla": {
        **_COMMON, "architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2", "hidden_size": 256,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 512,
        "vocab_size": 1024, "max_position_embeddings": 2048, "kv_lora_rank": 512, "q_lora_rank": None,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": 4,
        "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 128, "first_k_dense_replace": 1,
        "n_group": 1, "topk_group": 1, "tie_word_embeddings": False, "rope_theta": 10000.0,
    },
    "llama-awq": {**_LLAMA, "dtype": "float16", "quantization_config": _AWQ},
    "llama-gptq": {**_LLAMA, "dtype": "float16", "quantization_config": _GPTQ},
    "llama-int8": {**_LLAMA, "quantization_config": _INT8},
    "llama-w4a16": {**_LLAMA, "quantization_config": _W4A16},
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Case:
    """One start of the engine."""

    model: str
    kv_bytes: int
    args: Mapping[str, Any] = field(default_factory=dict)
    draft: str | None = None

    @property
    def label(self) -> str:
        """For a test's id and a table's row."""
        said = ",".join(f"{name}={value}" for name, value in self.args.items())
        return f"{self.model}-{self.kv_bytes / MIB:g}MiB" + (f"-{said}" if said else "")


_SPACES = (8 * MIB, 24 * MIB, 50_000_000)
_FORMS: dict[str, tuple[dict[str, Any], ...]] = {
    # Three of each, so that every model meets every space with another block size, dtype or KV dtype.
    "llama-gqa": ({}, {"block_size": 32, "kv_cache_dtype": "fp8"}, {"block_size": 64, "dtype": "float32"}),
    "llama-bias-odd-vocab": ({"block_size": 32}, {"dtype": "float16"}, {"max_model_len": 1000, "block_size": 64}),
    "qwen2-tied": ({"block_size": 64}, {"kv_cache_dtype": "fp8_e5m2"}, {"dtype": "float32", "block_size": 256}),
    "qwen3-mqa": ({}, {"block_size": 32, "dtype": "float32"}, {"kv_cache_dtype": "int8_per_token_head"}),
    "opt": ({"block_size": 32}, {"dtype": "bfloat16"}, {"block_size": 96}),
    "mistral-window": ({"block_size": 32}, {}, {"block_size": 64, "max_num_batched_tokens": 512}),
    "phi3-mha": ({}, {"block_size": 32}, {"block_size": 64, "kv_cache_dtype": "fp8"}),
    "gemma2-hybrid": ({"block_size": 32}, {"max_num_batched_tokens": 512}, {"block_size": 64}),
    "gemma3-hybrid": (
        {"block_size": 32, "max_num_batched_tokens": 512}, {"block_size": 64},
        {"disable_hybrid_kv_cache_manager": True},
    ),
    "mixtral-moe": ({}, {"block_size": 32}, {"block_size": 64}),
    # A CPU with AMX would take another block size for MLA unasked.
    "deepseek-mla": ({"block_size": 16}, {"block_size": 16, "max_model_len": 1000}, {"block_size": 16}),
    "llama-awq": ({}, {"block_size": 32}, {"dtype": "bfloat16"}),
    "llama-gptq": ({"block_size": 32}, {}, {"block_size": 64}),
    "llama-int8": ({}, {"block_size": 32}, {"kv_cache_dtype": "fp8"}),
    "llama-w4a16": ({}, {"block_size": 32}, {"block_size": 64}),
}  # fmt: skip
CASES = [
    *(Case(model=model, kv_bytes=space, args=args) for model, forms in _FORMS.items()
      for space, args in zip(_SPACES, forms, strict=True)),
    Case(model="llama-gqa", kv_bytes=24 * MIB, args={"num_gpu_blocks_override": 100}),
    Case(model="llama-gqa", kv_bytes=24 * MIB, draft="qwen3-mqa"),
    Case(model="llama-gqa", kv_bytes=24 * MIB, args={"tensor_parallel_size": 2}),
    Case(model="qwen3-mqa", kv_bytes=24 * MIB, args={"tensor_parallel_size": 2, "block_size": 32}),
]  # fmt: skip


class Engines:
    """The real vLLM on this machine's CPU, forked for each case from one keeper."""

    def __init__(self, folder: Path, tokenizer: Path) -> None:
        self.folder = folder
        for name, config in MODELS.items():
            target = folder / name
            target.mkdir()
            (target / "config.json").write_text(json.dumps(config), encoding="utf-8")
            for file in ("tokenizer.json", "tokenizer_config.json"):
                shutil.copy(tokenizer / file, target / file)
        prompt = {"prompt_token_ids": [5, 6, 7, 8]}
        (folder / "prompts.jsonl").write_text(json.dumps(prompt) + "\n", encoding="utf-8")
        self.keeper = Keeper(
            find_interpreter(None, "vllm"), "vllm", preload=True, environment=ENVIRONMENT, run_uid="planner-engine",
            log=folder / "keeper.log",
        )  # fmt: skip
        self.keeper.wait_ready(300)
        self.count = 0

    def engine_args(self, case: Case) -> dict[str, Any]:
        """What the engine gets, without the model."""
        args: dict[str, Any] = {
            "load_format": "dummy", "enforce_eager": True, "enable_prefix_caching": False, "max_model_len": 1024,
            "kv_cache_memory_bytes": case.kv_bytes, **case.args,
        }  # fmt: skip
        if case.draft is not None:
            draft = str(self.folder / case.draft)
            args["speculative_config"] = {"method": "draft_model", "model": draft, "num_speculative_tokens": 2}
        return args

    def plan(self, case: Case, version: str = "0.32.0") -> Plan:
        """What the planner says of the case, on a machine of 8 GiB."""
        budget = Budget(visible_bytes=8 * 1024**3, kind="cpu", name="cpu")
        draft = None if case.draft is None else read_shape(MODELS[case.draft])
        engine = EngineAbilities(version=parse_version(version))
        return plan(self.engine_args(case), read_shape(MODELS[case.model]), budget, engine, draft=draft)

    def run(self, case: Case) -> dict[str, Any]:
        """What the engine says: the log's facts and its own; `logged_kv_tokens` is the log's count."""
        self.count += 1
        log = self.folder / f"{self.count}.log"
        raw = run_trial(
            self.keeper, trial_id=self.count, how="fork", deadlines=Deadlines(), log=log, run_uid="planner-engine",
            on_event=lambda _: None,
            request={
                "engine": "vllm", "model": str(self.folder / case.model), "engine_args": self.engine_args(case),
                "environment": ENVIRONMENT, "prompts_file": str(self.folder / "prompts.jsonl"), "output_tokens": 1,
                "warmup_passes": 0, "passes": 1, "max_seconds": None,
            },
        )  # fmt: skip
        text = read_log(log)
        said = [message["facts"] for message in raw.messages if isinstance(message.get("facts"), dict)]
        if not said:
            raise RuntimeError(f"{case.label} didn't start:\n{text[-3000:]}\n{raw.messages[-2:]}")
        return {"logged_kv_tokens": facts_in(text).get("kv_cache_tokens"), **said[-1]}

    def close(self) -> None:
        """End the keeper."""
        self.keeper.close()
