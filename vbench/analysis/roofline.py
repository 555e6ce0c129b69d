"""How near a trial came to what its hardware could do: estimates of the FLOPs it did and of the bytes it read, beside
the data sheet's peaks. Williams, Waterman and Patterson, "Roofline", CACM 52 (4), 2009.

No counter of the hardware is read. Both numbers are what the work needs at least, from the model's shape and the tokens
of the timed passes, so a trial did that much or more, and the shares are lower bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vbench.analysis.token_work import TokenWork, accepted_at_once, token_work
from vbench.errors import SpecError, UsageError
from vbench.hardware.profile import HardwareProfile, load_profile
from vbench.hardware.this_machine import recognised
from vbench.records.record import TrialRecord

NEAR = 0.3
"""Of a peak. Engines that are well fed reach a half to nine tenths of one; below this share of both, something else
holds them up."""

_ABSURD = 1e20  # parameters, or bytes
_IMPOSSIBLE = 1.05  # boost clocks beyond the data sheet's are a few percent

Side = Literal["compute", "bandwidth", "neither"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """What one GPU could do, by its data sheet. `flops` is of the number format `format`."""

    name: str
    flops: float
    bytes_s: float
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One trial, of one GPU (of the whole processor on a CPU). None where the record lacks what it needs."""

    trial: int
    flops: float | None
    """FLOP a second."""
    bytes_s: float | None
    """Bytes read a second."""
    peaks: Peaks | None

    @property
    def flops_share(self) -> float | None:
        """Of the peak rate."""
        return None if self.flops is None or self.peaks is None else self.flops / self.peaks.flops

    @property
    def bytes_share(self) -> float | None:
        """Of the memory's bandwidth."""
        return None if self.bytes_s is None or self.peaks is None else self.bytes_s / self.peaks.bytes_s

    @property
    def intensity(self) -> float | None:
        """FLOP a byte."""
        return None if self.flops is None or not self.bytes_s else self.flops / self.bytes_s

    @property
    def is_impossible(self) -> bool:
        """Whether it is more than the data sheet allows: something that the estimates take for granted isn't so."""
        return max(self.flops_share or 0.0, self.bytes_share or 0.0) > _IMPOSSIBLE

    @property
    def limit(self) -> Side | None:
        """Which peak is nearer; `neither` below `NEAR` of both. None without peaks."""
        compute, bandwidth = self.flops_share, self.bytes_share
        if compute is None or bandwidth is None or self.is_impossible:
            return None
        if max(compute, bandwidth) < NEAR:
            return "neither"
        return "compute" if compute >= bandwidth else "bandwidth"


def position(record: TrialRecord, run: Mapping[str, Any]) -> Position | None:
    """None of a trial that has no timed pass, or no plan to take the model's size from."""
    timed = [one for one in record.passes if one.kind == "timed" and one.duration_s > 0]
    estimate = record.estimate or {}
    per_gpu = estimate.get("per_gpu")
    if not timed or not isinstance(per_gpu, Mapping):
        return None
    work = estimate.get("work")
    work = work if isinstance(work, Mapping) else {}
    tokens = token_work(record, timed, _windows(work))
    flops, read = _flops(work, tokens), _bytes(record, per_gpu, tokens, work)
    if flops is None and read is None:
        return None
    gpus = _num_gpus(record)
    return Position(
        trial=record.trial,
        flops=None if flops is None else flops / gpus / tokens.duration_s,
        bytes_s=None if read is None else read / tokens.duration_s,
        peaks=peaks_of(record, run),
    )


def _flops(work: Mapping[str, Any], tokens: TokenWork) -> float | None:
    """2 × the layers' parameters for each token that goes through them, 2 × the head's for each output token, and for
    each query and key
    4 × layers × heads × head size (Kaplan et al., arXiv:2001.08361, table 1, without embeddings and nonlinearities)."""
    layers, head = _number(work, "layer_parameters"), _number(work, "head_parameters")
    if layers is None or head is None:
        return None
    attention = sum(4 * width * tokens.pairs[window] for window, width in _windows(work).items())
    return 2 * layers * (tokens.prompt + tokens.decoded) + 2 * head * tokens.output + attention


def _bytes(record: TrialRecord, per_gpu: Mapping[str, Any], tokens: TokenWork, work: Mapping[str, Any]) -> float | None:
    """Of one GPU: the weights (as the engine said, else as planned) once a step, and the keys and values of all tokens
    before each one that is decoded.

    The fewest steps that there can have been: the longest answer's tokens, all outputs ÷ `max_num_seqs`, and all tokens
    ÷ `max_num_batched_tokens`; fewer by the tokens that speculation accepts at once. Of a mixture of experts the share
    of parameters that one token meets stands for what a step reads. Activations and caches' writes aren't counted.
    """
    weights = _number(record.engine.facts, "weights_bytes") or _number(per_gpu, "weights_bytes")
    kv = _number(per_gpu, "kv_bytes_per_token")
    if weights is None or kv is None:
        return None
    weights = _read_weights(record, weights, work)
    replicas = _replicas(record)
    at_once = accepted_at_once(record)
    steps = [tokens.longest / at_once]
    for name, count in (("max_num_seqs", tokens.output / at_once), ("max_num_batched_tokens", tokens.prompt)):
        most = _setting(record, name)
        if most:
            steps.append(count / most / replicas)
    widths = _windows(work)
    total = sum(widths.values())
    reads = sum(tokens.read[window] * width / total for window, width in widths.items()) / at_once
    ranks = 1 if record.hardware.get("gpus") else num_ranks(record)  # on a CPU all ranks share one memory
    return ranks * (weights * max(steps) + kv * reads / replicas)


def _read_weights(record: TrialRecord, weights: float, work: Mapping[str, Any]) -> float:
    """Of one GPU's weights those that a step reads at least. Of the embeddings, where they aren't the head as well, a
    step reads a few rows: they are as large as the head, and stay wide where a model is quantized."""
    layers, head, whole = (_number(work, f"{name}_parameters") for name in ("layer", "head", "num"))
    if layers is None or head is None or not whole:
        return weights
    embeddings = min(head, max(0.0, whole - layers - head))
    is_wide = "float32" in (record.config.get("dtype"), record.engine.facts.get("dtype"))
    width = (4 if is_wide else 2) / (_setting(record, "tensor_parallel_size") or 1)
    return max(0.0, weights - width * embeddings) * min(1.0, (layers + head) / (whole - embeddings))


def _windows(work: Mapping[str, Any]) -> dict[int | None, float]:
    """Width of the attention by sliding window; all full where a record doesn't say."""
    stored = work.get("attention_widths")
    found: dict[int | None, float] = {}
    for pair in stored if isinstance(stored, (list, tuple)) else ():
        if isinstance(pair, (list, tuple)) and len(pair) == 2 and (width := _amount(pair[1])):
            window = pair[0] if isinstance(pair[0], int) and pair[0] > 0 else None
            found[window] = found.get(window, 0.0) + width
    return found or {None: 1.0}


def peaks_of(record: TrialRecord, run: Mapping[str, Any]) -> Peaks | None:
    """Of the card that did the work: the shipped profile by NVML's name for it, else the sweep's, unless that one was
    emulated (its speed wasn't). None for a CPU, and for a card whose numbers aren't known."""
    profile = _profile_of(record, run)
    if profile is None or profile.bandwidth_gb_s is None:
        return None
    is_fp8 = "fp8" in str(record.config.get("quantization") or "") and profile.gemm_fp8_tflops is not None
    rate = profile.gemm_fp8_tflops if is_fp8 else profile.gemm_fp16_tflops
    if rate is None or "float32" in (record.config.get("dtype"), record.engine.facts.get("dtype")):
        return None
    return Peaks(
        name=profile.title, flops=rate * 1e12, bytes_s=profile.bandwidth_gb_s * 1e9, format="FP8" if is_fp8 else "FP16"
    )


def _profile_of(record: TrialRecord, run: Mapping[str, Any]) -> HardwareProfile | None:
    gpus = record.hardware.get("gpus")
    if not isinstance(gpus, list) or not gpus:
        return None
    name = gpus[0].get("name") if isinstance(gpus[0], Mapping) else None
    known = recognised(name if isinstance(name, str) else None)
    target = run.get("target")
    if known is not None or (isinstance(target, Mapping) and target.get("is_emulated")):
        return known
    try:
        return load_profile(str(record.hardware.get("profile") or ""))
    except (UsageError, SpecError):
        return None


def _num_gpus(record: TrialRecord) -> int:
    """GPUs that shared the work; 1 for a CPU, whose ranks share one processor."""
    return num_ranks(record) if record.hardware.get("gpus") else 1


def num_ranks(record: TrialRecord) -> int:
    """Processes that each hold a part of the model, or a copy: on GPUs one each, however many more there were."""
    count = _replicas(record)
    for name in ("tensor_parallel_size", "pipeline_parallel_size"):
        count *= _setting(record, name) or 1
    return count


def _replicas(record: TrialRecord) -> int:
    return (_setting(record, "replicas") or 1) * (_setting(record, "data_parallel_size") or 1)


def _setting(record: TrialRecord, name: str) -> int | None:
    """What was set, or what the engine said it used instead."""
    for value in (record.config.get(name), record.engine.facts.get(name)):
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _number(values: Mapping[str, Any], name: str) -> float | None:
    return _amount(values.get(name))


def _amount(value: Any) -> float | None:
    """A number that can be one: what is foreign, and isn't, counts as not there."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < _ABSURD else None
