"""A model as numbers: what of its `config.json` decides memory. Types only; `shape_reader` makes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Moe:
    """Mixture of experts. The first `first_dense` layers, and those not due by `every`, keep a dense MLP."""

    num_experts: int
    experts_per_token: int
    intermediate_size: int
    shared_intermediate_size: int = 0
    """Width of the always-on experts together; 0 when there are none."""
    has_shared_gate: bool = False
    has_router_bias: bool = False
    first_dense: int = 0
    every: int = 1

    def is_sparse(self, layer: int) -> bool:
        """Whether that layer (counted from 0) has experts."""
        return layer >= self.first_dense and (layer + 1) % self.every == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mla:
    """Multi-head latent attention (DeepSeek V2, V3): one latent and one rotary key a token instead of K and V."""

    kv_lora_rank: int
    q_lora_rank: int | None
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """How a checkpoint's linear layers are stored, from `quantization_config`."""

    method: str
    bits: int
    group_size: int | None = None
    """Weights that share a scale along the input; None: one scale for each output (or for the tensor)."""
    has_zero_points: bool = False
    has_group_index: bool = False
    """GPTQ with `desc_act` keeps an int32 for each input row (`g_idx`)."""
    quantizes_lm_head: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """One decoder-only transformer. Counts are of the whole model, before any parallelism."""

    model_type: str
    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    max_positions: int
    """The longest context it allows, rope scaling included."""
    default_len: int | None = None
    """`max_model_len` that vLLM takes when none is given; None: `max_positions`."""
    dtype: str
    """As the checkpoint says: float32, float16 or bfloat16."""
    is_tied: bool
    is_gated_mlp: bool = True
    has_qkv_bias: bool = False
    has_o_bias: bool = False
    has_mlp_bias: bool = False
    has_qk_norm: bool = False
    norms_per_layer: int = 2
    has_norm_bias: bool = False
    has_final_norm: bool = True
    position_rows: int = 0
    """Rows of a learned position table (OPT); 0 with rotary positions."""
    embedding_size: int | None = None
    """Width of the token embedding where it differs from the hidden size (opt-350m)."""
    windows: tuple[int | None, ...] = ()
    """Sliding window of each layer; None is full attention. Empty: all full."""
    moe: Moe | None = None
    mla: Mla | None = None
    quantization: Quantization | None = None
    guesses: tuple[str, ...] = ()
    """What was assumed, or left out of the count, for want of knowledge of this architecture."""

    @property
    def layer_windows(self) -> tuple[int | None, ...]:
        """One entry a layer."""
        return self.windows or (None,) * self.num_layers


@dataclass(frozen=True, slots=True, kw_only=True)
class NotModelled:
    """A model that these formulas don't describe (state spaces, encoders, diffusion): its plan is `uncertain`."""

    model_type: str
    reason: str


Model = ModelShape | NotModelled
