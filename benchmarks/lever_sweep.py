"""The sweep that the lever cases are options of, and what a case is.

All cases are options of one parameter, so that their trials fork from one keeper; what is common to them is `SWEEP`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.lever_proofs import Proof
from vbench.outcome import Outcome

Effect = Literal["proven", "configuration", "none"]
"""`configuration`: the engine's configuration holds it, and nothing that it did can show it here. `none`: accepted, and
nothing changed."""
MIB = 1024**2
ROOT = Path(__file__).resolve().parents[1]
MODELS = "../models/demo"  # beside sweeps/, where the sweep claims to lie
DEMO = ROOT / "models" / "demo"  # an argument's own value is passed on as it is
PROMPTS, INPUT, SHARED, OUTPUT = 12, 96, 64, 16
BASELINE = "baseline"
BASE: dict[str, Any] = {
    "dtype": "bfloat16", "enforce_eager": True, "max_model_len": 512, "max_num_seqs": 16, "block_size": 32,
    "kv_cache_memory_bytes": 64 * MIB,
}  # fmt: skip
GOODPUT = {"ttft": 200, "e2el": 5000}
SYNTHETIC = {"count": PROMPTS, "input_tokens": INPUT, "shared_prefix_tokens": SHARED}
SWEEP: dict[str, Any] = {
    "name": "levers-table",
    "model": f"{MODELS}/base",
    "hardware": "cpu",
    "prompts": {"synthetic": SYNTHETIC, "output_tokens": OUTPUT},
    "engine_args": {name: value for name, value in BASE.items() if name != "dtype"},
    "environment": {
        "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1",
    },
    "measure": {"warmup_passes": 1, "passes": 2, "settle": False, "repeat_spoiled": False},
    "goodput": GOODPUT,
    "deadlines": {"load": "5m", "pass": "3m"},
}  # fmt: skip
LOADS: dict[str, dict[str, Any]] = {
    "constant": {"request_rate": 4, "arrival": "constant"},
    "poisson": {"request_rate": 4, "arrival": "poisson", "seed": 1},
    "gamma, burstiness 0.3": {"request_rate": 4, "burstiness": 0.3, "seed": 2},
    "bursts of 4": {"request_rate": 4, "burst_size": 4},
    "linear ramp 2 to 16 req/s": {"ramp_up_strategy": "linear", "ramp_up_start_rps": 2, "ramp_up_end_rps": 16},
    "exponential ramp 1 to 30 req/s": {
        "ramp_up_strategy": "exponential", "ramp_up_start_rps": 1, "ramp_up_end_rps": 30,
    },
    "all at once": {},
}  # fmt: skip
REFUSED_BY_NAME = {
    # Never started: `vbench plan` and `vbench sweep` say it with the line of the file, exit code 2.
    "swap_space": (4, "vLLM has it up to 0.15.1"),
    "max_num_sequences": (4, "has no argument named max_num_sequences"),
}
"""Arguments that the installed engine doesn't have: a value, and what vbench says of it before anything is started."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One lever at one value."""

    lever: str
    value: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    proof: Proof | None = None
    counter: str = BASELINE
    outcome: Outcome = Outcome.COMPLETED
    failure_class: str = ""
    evidence: str = ""
    effect: Effect = "proven"
    twin: str = ""
    """The case whose record this one's equals: what was accepted did nothing beyond that."""
    is_quick: bool = False
    """Whether the tests run it."""

    @property
    def name(self) -> str:
        """How the sweep labels it."""
        return BASELINE if self.lever == BASELINE else f"{self.lever}: {self.value}"


class Lever:
    """Cases of one lever, written in a line or two each."""

    def __init__(self, name: str) -> None:
        self.name = name

    def runs(
        self, value: object, settings: Mapping[str, Any], proof: Proof, *, counter: str = "", effect: Effect = "proven",
        twin: str = "", quick: bool = False,
    ) -> Case:  # fmt: skip
        against = f"{self.name}: {counter}" if counter else BASELINE
        return Case(
            lever=self.name, value=str(value), settings=settings, proof=proof, counter=against, twin=twin,
            effect="none" if twin else effect, is_quick=quick,
        )  # fmt: skip

    def refuses(
        self, value: object, settings: Mapping[str, Any], outcome: Outcome, failure_class: str, evidence: str, *,
        quick: bool = False,
    ) -> Case:  # fmt: skip
        return Case(
            lever=self.name, value=str(value), settings=settings, outcome=outcome, failure_class=failure_class,
            evidence=evidence, is_quick=quick,
        )  # fmt: skip
