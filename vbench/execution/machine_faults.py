"""Failures that are the machine's and not the configuration's: such a trial is `interrupted`, and may be tried again.

What a trial itself says of it (a full disk, a port in use) is in the table of failure classes; here is what only who
looked at the machine meanwhile knows.
"""

from __future__ import annotations

import signal

from vbench.execution.failure_classes import BUS_ERROR_ADVICE
from vbench.execution.failures import clean_line
from vbench.execution.runner import RawTrial
from vbench.hardware.gpu_trial import TrialGpus
from vbench.hardware.gpu_unready import Fault, taken_meanwhile
from vbench.outcome import Outcome
from vbench.records.record import Failure

RETRIED_ONCE = ("address_in_use", "gpu_memory_taken")
"""Classes of failures that pass: a port is given back, another's process ends."""
OFTEN_ITS_OWN = ("shared_memory_full", "bus_error", "too_many_open_files", "too_many_processes")
"""Classes of what an engine that served trial after trial may have used up itself: a fresh one has it again."""
_GPU_MEMORY = ("gpu_out_of_memory", "not_enough_free_memory", "kv_cache_too_small")
_BUS_ERROR = Fault(
    failure_class="bus_error",
    evidence="killed by SIGBUS: memory that was mapped isn't there",
    advice=BUS_ERROR_ADVICE,
)


def judged(
    outcome: Outcome, failure: Failure | None, raw: RawTrial, gpus: TrialGpus | None
) -> tuple[Outcome, Failure | None]:
    """The verdict on a trial; `interrupted` where the machine is to blame for its failure."""
    if failure is None or outcome.is_measured or outcome is Outcome.INTERRUPTED:
        return outcome, failure
    fault = _fault(failure, raw, gpus)
    if fault is None:
        return outcome, failure
    return Outcome.INTERRUPTED, failure_of(fault, failure.phase or "start")


def failure_of(fault: Fault, phase: str) -> Failure:
    """As records have it."""
    return Failure(
        failure_class=fault.failure_class, evidence=clean_line(fault.evidence), advice=fault.advice, phase=phase
    )


def _fault(failure: Failure, raw: RawTrial, gpus: TrialGpus | None) -> Fault | None:
    if gpus is not None and (lost := gpus.lost()) is not None:
        return lost
    if failure.failure_class == "died" and raw.exit is not None and raw.exit.signal == signal.SIGBUS:
        return _BUS_ERROR
    if gpus is not None and gpus.at_first is not None and failure.failure_class in _GPU_MEMORY:
        return taken_meanwhile(gpus.at_first, raw.gpu_samples, failure.evidence)
    return None
