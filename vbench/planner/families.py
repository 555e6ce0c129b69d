"""What a model type implies beyond the numbers in its config: biases, norms, defaults of absent keys.

Sources: the configuration classes of Hugging Face transformers 5 (defaults of keys that a `config.json` leaves out) and
vLLM 0.32's model classes (which biases and norms are really built). One row a `model_type`; a type that isn't here but
has a llama's keys is planned as a llama, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Defaults of one model type."""

    is_gated_mlp: bool = True
    qkv_bias: bool | Literal["config"] = False
    """`config`: as `attention_bias` says, and then the output projection has it too."""
    mlp_bias: bool | Literal["config"] = False
    norms_per_layer: int = 2
    has_layer_norm: bool = False
    """LayerNorm with a bias, and biases on every linear layer (`enable_bias`)."""
    has_qk_norm: bool = False
    is_tied: bool = False
    head_dim: int | None = None
    window: int | None = None
    """Sliding window where the config doesn't say."""
    window_pattern: int = 0
    """Every n-th layer has full attention, the others slide; 0: as `layer_types`, else all alike."""
    needs_use_sliding_window: bool = False
    """Qwen: `sliding_window` counts only with `use_sliding_window: true`."""
    has_position_table: bool = False


LLAMA = Family(qkv_bias="config", mlp_bias="config")
_QWEN_MOE = Family(qkv_bias="config", has_qk_norm=True, head_dim=128, needs_use_sliding_window=True)
FAMILIES: dict[str, Family] = {
    "llama": LLAMA,
    "granite": LLAMA,
    "mistral": Family(window=4096),
    "mixtral": Family(),
    "phi3": Family(),
    "qwen2": Family(qkv_bias=True, needs_use_sliding_window=True),
    "qwen2_moe": Family(qkv_bias=True, needs_use_sliding_window=True),
    "qwen3": Family(qkv_bias="config", has_qk_norm=True, head_dim=128, needs_use_sliding_window=True),
    "qwen3_moe": _QWEN_MOE,
    "gemma": Family(qkv_bias="config", is_tied=True, head_dim=256),
    "gemma2": Family(
        qkv_bias="config", norms_per_layer=4, is_tied=True, head_dim=256, window=4096, window_pattern=2
    ),
    "gemma3_text": Family(
        qkv_bias="config", norms_per_layer=4, has_qk_norm=True, is_tied=True, head_dim=256, window=4096,
        window_pattern=6,
    ),
    "opt": Family(
        is_gated_mlp=False, qkv_bias=True, mlp_bias=True, has_layer_norm=True, is_tied=True, has_position_table=True
    ),
    "deepseek": LLAMA,
    "deepseek_v2": LLAMA,
    "deepseek_v3": LLAMA,
}  # fmt: skip

# The language model inside a multimodal config.
INNER_TYPES = {"gemma3": "gemma3_text", "mistral3": "mistral", "qwen2_vl": "qwen2", "qwen2_5_vl": "qwen2"}

_STATE = "a state-space or recurrent model: its memory a request isn't a KV cache"
_ENCODER = "not a decoder-only language model"
NOT_MODELLED: dict[str, str] = {
    **dict.fromkeys(
        ("mamba", "mamba2", "falcon_mamba", "rwkv", "jamba", "bamba", "zamba", "zamba2", "recurrent_gemma",
         "nemotron_h", "granitemoehybrid", "falcon_h1", "qwen3_next", "lfm2", "xlstm", "plamo2"), _STATE),
    **dict.fromkeys(
        ("t5", "mt5", "umt5", "bart", "mbart", "whisper", "bert", "roberta", "xlm-roberta", "deberta-v2", "vit",
         "clip", "siglip", "wav2vec2", "marian", "pegasus", "led", "encoder-decoder", "modernbert"), _ENCODER),
    **dict.fromkeys(("gpt2", "gptj", "gpt_neox", "bloom", "falcon", "mpt", "phi"),
                    "an older architecture with keys of its own"),
}  # fmt: skip

# vLLM's `_FLOAT16_NOT_SUPPORTED_MODELS`: float16 is refused, `auto` becomes float32 on a card without bfloat16.
FLOAT16_REFUSED = ("gemma2", "gemma3", "gemma3_text", "glm4")
