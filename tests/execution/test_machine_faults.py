"""Whose fault a failure was: the machine's, by what was seen of it meanwhile, or the configuration's."""

from __future__ import annotations

import errno
import os
import signal

import pytest

from vbench.errors import MachineError, StoreError
from vbench.execution.attempts import told
from vbench.execution.keeper_client import Exit
from vbench.execution.machine_faults import judged
from vbench.execution.runner import RawTrial
from vbench.hardware.gpu_samples import GpuSample, GpuUse
from vbench.hardware.gpu_types import GpuProcess, GpuReading
from vbench.hardware.gpu_unready import excess, holders, not_released, taken_meanwhile
from vbench.outcome import Outcome
from vbench.records.record import Failure
from vbench.units import MIB

OOM = Failure(failure_class="gpu_out_of_memory", evidence="CUDA out of memory", advice="less", phase="pass")


def _sample(used: int, *, own: int = 0, foreign: int = 0) -> GpuSample:
    """MiB of one GPU; pid 7 is the trial's, pid 9 another's."""
    listed = [GpuProcess(pid=pid, used_bytes=size * MIB) for pid, size in ((7, own), (9, foreign)) if size]
    reading = GpuReading(index=0, used_bytes=used * MIB, processes=tuple(listed))
    use = GpuUse(
        reading=reading, used_bytes=used * MIB, tree_bytes=own * MIB, foreign_bytes=foreign * MIB,
        foreign_pids=(9,) if foreign else (),
    )  # fmt: skip
    return GpuSample(t=0.0, used_bytes=used * MIB, num_processes=1, host_bytes=None, gpus=(use,))


def test_what_others_took_since_the_session_began_is_said() -> None:
    fault = taken_meanwhile(_sample(100), [_sample(5000, own=4900), _sample(7000, own=4900, foreign=2000)], "CUDA OOM")

    assert fault is not None
    assert fault.evidence == "pid 9 of others took 2,000 MiB of GPU 0 meanwhile: CUDA OOM"


@pytest.mark.parametrize("foreign", [0, 100, 600])
def test_what_others_held_from_the_start_is_the_machine_as_it_is(foreign: int) -> None:
    first = _sample(600, foreign=500)

    assert taken_meanwhile(first, [_sample(5000, own=4000, foreign=foreign)], "CUDA OOM") is None


def test_memory_that_stays_names_who_holds_it() -> None:
    first, now = _sample(100), _sample(2148, own=2048)

    ((use, kept),) = excess(first, now)

    assert (kept, holders(use, first)) == (2048 * MIB, "pid 7 hold it")
    assert not_released([(use, kept)], first, 30.0).evidence.endswith("and pid 7 hold it (waited 30 s)")
    assert excess(first, _sample(200)) == []
    assert excess(first, _sample(5100, foreign=5000)) == []


@pytest.mark.parametrize(
    ("number", "outcome"), [(signal.SIGBUS, Outcome.INTERRUPTED), (signal.SIGSEGV, Outcome.CRASHED)]
)
def test_a_bus_error_is_no_crash_of_the_configuration(number: signal.Signals, outcome: Outcome) -> None:
    raw = RawTrial(started_t=0.0, how="fork", exit=Exit(code=None, signal=number))
    died = Failure(failure_class="died", evidence="killed", advice="read the log", phase="pass")

    found, failure = judged(Outcome.CRASHED, died, raw, None)

    assert found is outcome
    assert failure is not None
    assert failure.failure_class == ("bus_error" if outcome is Outcome.INTERRUPTED else "died")


def test_without_gpus_a_failure_is_what_it_was() -> None:
    raw = RawTrial(started_t=0.0, how="fork", exit=Exit(code=1, signal=None))

    assert judged(Outcome.OUT_OF_MEMORY, OOM, raw, None) == (Outcome.OUT_OF_MEMORY, OOM)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, StoreError, "free some space"),
        (errno.EMFILE, MachineError, "ulimit -n"),
        (errno.EAGAIN, MachineError, "ulimit -u"),
    ],
)
def test_errors_of_the_system_say_what_to_do(number: int, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as raised, told("trial 3 couldn't be run"):
        raise OSError(number, os.strerror(number), "/there")

    assert str(raised.value).startswith(f"trial 3 couldn't be run (/there): {os.strerror(number)}; ")
    assert words in str(raised.value)
