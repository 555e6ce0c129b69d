"""Tables of what versions of vLLM and compute capabilities can do. Data only; `abilities` reads it.

Sources: the wheels of 0.5.4, 0.6.3, 0.8.5, 0.10.2, 0.11.0, 0.32.0 and 0.33.0 (`get_min_capability()` of each method),
and the pull requests named. A version between two that were read is refused only when the change was located.
"""

from __future__ import annotations

from dataclasses import dataclass

from vbench.planner.budget import SEEN_AFTER_0_11, Version

Capability = tuple[int, int]
_START: Version = (0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One quantization method. Floors are (from version, least compute capability), oldest first."""

    floors: tuple[tuple[Version, Capability], ...]
    gone: Version | None = None
    """The first version known to be without it."""
    last: str = ""
    """The last version with it, where that is known."""
    absent_before: Version | None = None
    instead: str = ""
    cpu: bool = True
    """Whether the CPU build may have it; False: seen refused by vLLM 0.32 on a CPU."""


def _floor(major: int, minor: int) -> tuple[tuple[Version, Capability], ...]:
    return ((_START, (major, minor)),)


_TURING_MARLIN = ((_START, (8, 0)), ((0, 14, 0), (7, 5)))  # PR 29901: Marlin on Turing
_NEW = SEEN_AFTER_0_11
_OLD = "use awq or gptq"

METHODS: dict[str, Method] = {
    "awq": Method(floors=_floor(7, 5), instead="use gptq"),
    "auto_awq": Method(floors=_floor(7, 5), absent_before=_NEW, instead="use awq"),
    "awq_marlin": Method(floors=_TURING_MARLIN, instead="use awq", cpu=False),
    "gptq": Method(floors=((_START, (6, 0)), ((0, 20, 0), (7, 5))), instead="use float16"),
    "auto_gptq": Method(floors=_floor(7, 5), absent_before=_NEW, instead="use gptq"),
    "gptq_marlin": Method(floors=_TURING_MARLIN, instead="use gptq"),
    "marlin": Method(floors=_floor(8, 0), gone=(0, 10, 2), instead="use gptq_marlin", cpu=False),
    "gptq_marlin_24": Method(floors=_floor(8, 0), gone=(0, 15, 0), last="0.14", instead=_OLD, cpu=False),
    "squeezellm": Method(floors=_floor(7, 0), gone=(0, 6, 1), last="0.6.0", cpu=False,
                         instead="use awq or gptq, or give that choice a `python:` with vLLM 0.6.0"),
    "aqlm": Method(floors=_floor(6, 0), gone=(0, 10, 2), instead=_OLD, cpu=False),
    "qqq": Method(floors=_floor(8, 0), gone=(0, 10, 2), instead=_OLD, cpu=False),
    "deepspeedfp": Method(floors=_floor(6, 0), gone=(0, 32, 0), instead="use fp8", cpu=False),
    "fp8": Method(floors=_TURING_MARLIN, instead="use awq or gptq", cpu=False),
    "fbgemm_fp8": Method(floors=_floor(8, 0), instead="use fp8", cpu=False),
    "compressed-tensors": Method(floors=_floor(7, 0), instead=_OLD),
    "bitsandbytes": Method(floors=_floor(7, 0), gone=(0, 28, 0), last="0.27.1", cpu=False,
                           instead="install vllm-bnb-plugin, or use awq"),
    "gguf": Method(floors=_floor(6, 0), absent_before=(0, 5, 5), gone=(0, 24, 0), last="0.23", cpu=False,
                   instead="install vllm-gguf-plugin, or use awq"),
    "experts_int8": Method(floors=_floor(8, 0), instead=_OLD),
    "modelopt": Method(floors=((_START, (8, 9)), ((0, 32, 0), (8, 0))), instead="use awq", cpu=False),
    "modelopt_fp4": Method(floors=((_START, (10, 0)), ((0, 10, 2), (8, 0)), ((0, 32, 0), (7, 5))), instead="use awq",
                           cpu=False),
    "bitblas": Method(floors=_floor(7, 0), gone=(0, 32, 0), instead=_OLD, cpu=False),
    "gptq_bitblas": Method(floors=_floor(8, 0), gone=(0, 32, 0), instead=_OLD, cpu=False),
    "hqq": Method(floors=_floor(8, 0), gone=(0, 32, 0), instead=_OLD, cpu=False),
    "quark": Method(floors=_floor(7, 0), instead=_OLD),
    "moe_wna16": Method(floors=_floor(7, 0), instead=_OLD),
    "torchao": Method(floors=_floor(7, 5), instead=_OLD),
    "ptpc_fp8": Method(floors=_floor(9, 0), gone=(0, 32, 0), instead="use fp8_per_channel", cpu=False),
    "auto-round": Method(floors=_floor(6, 0), absent_before=(0, 9, 0), gone=(0, 32, 0), instead="use inc"),
    "rtn": Method(floors=_floor(8, 0), absent_before=(0, 9, 0), gone=(0, 32, 0), instead=_OLD, cpu=False),
    "inc": Method(floors=_floor(6, 0), absent_before=(0, 9, 0), instead=_OLD),
    "mxfp4": Method(floors=_floor(8, 0), absent_before=(0, 9, 0), instead="use awq", cpu=False),
    "humming": Method(floors=_floor(7, 5), absent_before=_NEW, instead="use awq", cpu=False),
    "fp8_per_tensor": Method(floors=_floor(7, 5), absent_before=_NEW, instead="use fp8", cpu=False),
    "fp8_per_block": Method(floors=_floor(7, 5), absent_before=_NEW, instead="use fp8", cpu=False),
    "fp8_per_channel": Method(floors=_floor(7, 5), absent_before=_NEW, instead="use fp8"),
    "int8_per_channel_weight_only": Method(floors=_floor(7, 5), absent_before=_NEW, instead=_OLD),
    "nvfp4_per_token": Method(floors=_floor(7, 5), absent_before=_NEW, instead=_OLD),
    "mxfp8": Method(floors=_floor(7, 5), absent_before=_NEW, instead="use fp8", cpu=False),
    "online": Method(floors=_floor(7, 5), absent_before=_NEW, instead="use fp8", cpu=False),
}  # fmt: skip

# compressed-tensors by what its weights are: the scheme has a floor above the method's own.
COMPRESSED_FLOORS: dict[int, tuple[tuple[Version, Capability], ...]] = {4: _TURING_MARLIN, 8: _floor(7, 5)}

# Compute capability floors of attention backends, and what chooses them.
BACKENDS: dict[str, tuple[tuple[Version, Capability], ...]] = {
    "FLASH_ATTN": _floor(8, 0),
    "FLASHINFER": ((_START, (7, 5)), ((0, 24, 0), (8, 0))),  # PR 45375
    "TRITON_ATTN": _floor(7, 0),
    "FLEX_ATTENTION": _floor(7, 0),
    "XFORMERS": _floor(7, 0),
    "TRITON_MLA": _floor(7, 0),
    "FLASHMLA": _floor(9, 0),
    "CUTLASS_MLA": _floor(10, 0),
}
XFORMERS_GONE: Version = (0, 12, 0)

# The least compute capability that the wheels are built for.
WHEEL_FLOORS = ((_START, (7, 0)), ((0, 20, 0), (7, 5)))  # CUDA 13 dropped Volta

PLAIN_KV_DTYPES = ("auto", "bfloat16", "float16", "fp8", "fp8_e4m3", "fp8_e5m2")
KV_DTYPES = (
    *PLAIN_KV_DTYPES, "fp8_inc", "fp8_ds_mla", "int8", "int8_per_token_head", "int4_per_token_head",
    "fp8_per_token_head", "nvfp4", "turboquant_k8v4", "turboquant_4bit_nc", "turboquant_k3v4_nc", "turboquant_3bit_nc",
)  # fmt: skip
FP8_KV_FLOOR: Capability = (8, 0)  # FlashInfer; the Triton backend from 8.9

SPECULATIVE_METHODS: dict[str, tuple[Version, Version | None]] = {
    # method: (first version known, first version without it)
    "ngram": (_START, None), "eagle": (_START, None), "eagle3": ((0, 8, 5), None),
    "draft_model": (_START, None), "medusa": (_START, (0, 33, 0)), "mlp_speculator": (_START, (0, 33, 0)),
    "mtp": ((0, 11, 0), None), "deepseek_mtp": ((0, 9, 0), None), "suffix": (_NEW, None), "ngram_gpu": (_NEW, None),
    "dflash": (_NEW, None), "dspark": (_NEW, None), "extract_hidden_states": (_NEW, None), "custom_class": (_NEW, None),
}  # fmt: skip
