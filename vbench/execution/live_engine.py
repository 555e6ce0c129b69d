"""An engine that is kept alive after its trial, for further trials that differ only in what is asked of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vbench.execution import leftovers
from vbench.execution.engine_log import read_log
from vbench.execution.memory import MemorySampler, MemorySource
from vbench.execution.trial_process import TrialProcess
from vbench.hardware.gpu_samples import GPU_SAMPLE_INTERVAL_S, GpuSample, GpuSource
from vbench.hardware.gpu_trial import wait_for_release

LEAVE_GRACE_S = 0.5  # for what of a trial's tree is ending already
_SAID_LAST_BYTES = 64 * 1024
"""Of what is kept as long as the engine is: what it says of itself it says as it starts."""


@dataclass(slots=True, kw_only=True, eq=False)
class LiveEngine:
    """The process that holds it, waiting, and what is known since it was started."""

    process: TrialProcess
    log: Path
    """That trial's. The engine's own processes write there as long as they live."""
    log_end: int
    said: str
    """What the engine said of itself, up to the first trial's end."""
    gpus_before: GpuSample | None
    """The GPUs before it took any; None where there is no GPU."""

    @property
    def trial(self) -> int:
        """Which started it."""
        return self.process.trial_id

    def move_log(self, into: Path) -> None:
        """Move what the engine's processes have said since its first trial to another trial's log. It stays where it is
        where there is no room: the trial has been measured."""
        if into == self.log:
            return
        with suppress(OSError), self.log.open("r+b") as source, into.open("ab") as target:
            source.seek(self.log_end)
            shutil.copyfileobj(source, target)
            target.flush()
            if source.tell() > self.log_end:
                source.truncate(self.log_end)  # they append, so that nothing is left out at their next line

    def close(
        self, *, within_s: float, run_uid: str, kept_pids: Collection[int],
        source_for: Callable[[int, int | None], MemorySource],
    ) -> list[str]:  # fmt: skip
        """End it with all its processes, and wait for its GPUs' memory; returns what wasn't given back."""
        source = source_for(self.process.pid, None)
        sampler = MemorySampler(source, GPU_SAMPLE_INTERVAL_S) if isinstance(source, GpuSource) else None
        if sampler is not None:
            sampler.start()
        try:
            self.process.close(within_s)
            leftovers.kill_orphans(self.process.keeper, run_uid, excluding=kept_pids, grace_s=LEAVE_GRACE_S)
            return wait_for_memory(source, self.gpus_before)
        finally:
            if sampler is not None:
                sampler.stop()
            self.discard()

    def discard(self) -> None:
        """Let go of what is held here for a process that has been ended."""
        self.process.let_go()
        self.process.remove_temp_folder()


def live_engine(process: TrialProcess, log: Path, log_start: int, source: MemorySource) -> LiveEngine:
    """That of a first trial that has just ended; the source is the one that was read while it ran."""
    return LiveEngine(
        process=process,
        log=log,
        log_end=os.path.getsize(log),
        said=read_log(log, log_start, tail_bytes=_SAID_LAST_BYTES),
        gpus_before=source.samples[0] if isinstance(source, GpuSource) and source.samples else None,
    )


def wait_for_memory(source: MemorySource, before: GpuSample | None) -> list[str]:
    """`wait_for_release` while a sampler reads the source, by what the GPUs held `before` an engine that served several
    trials; None: by the source's own first sample. Where there is no GPU there is nothing to wait for."""
    if not isinstance(source, GpuSource):
        return []
    if before is None:
        return wait_for_release(source.samples, source.release_s)
    source.samples.insert(0, before)
    try:
        return wait_for_release(source.samples, source.release_s)
    finally:
        del source.samples[0]
