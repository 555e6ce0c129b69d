"""Holds what the emulated card doesn't have: a process of its own that allocates it through the CUDA driver.

So growth at run time meets the same wall as on the card, and vbench itself never holds a CUDA context. The memory is
free again however vbench ends: the process dies with its parent, and its standard input ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbench.errors import MachineError
from vbench.execution.leftovers import RUN_MARK
from vbench.hardware.gpu_trial import Reserved

_PROGRAM = Path(__file__).with_name("balloon_process.py")
MARK_ENDING = "-balloon"
_START_S = 60.0  # the first CUDA context on a machine without persistence mode takes seconds
_END_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Bytes held on one GPU. The holder's own context, some 0.1 to 0.3 GiB, comes on top."""

    device: str
    uuid: str
    bytes: int
    total_bytes: int


class Balloon:
    """Holds `num_bytes` on each of `devices` (CUDA's ordinals, or UUIDs) while the context lasts.

    `environment`: the sweep's variables, which may say what CUDA shows. Entering raises MachineError where that can't
    be held. The process's mark names the run but isn't the run's own: whoever ends what a trial left (also a keeper
    that is replaced in mid-sweep) must leave it alone.
    """

    def __init__(
        self, num_bytes: int, devices: Sequence[str], run_uid: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.num_bytes, self.devices, self.run_uid = num_bytes, list(devices), run_uid
        self.environment = dict(environment or {})
        self.held: tuple[Held, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """None while nothing is held."""
        return None if self._process is None else self._process.pid

    def __enter__(self) -> Balloon:
        if self.num_bytes <= 0 or not self.devices:
            return self
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_PROGRAM), str(os.getpid()), str(self.num_bytes), *self.devices],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # the terminal's Ctrl-C reaches only us
            env={**os.environ, **self.environment, RUN_MARK: f"{self.run_uid}{MARK_ENDING}"},
        )
        try:
            self.held = tuple(Held(**one) for one in self._answer()["held"])
        except BaseException:
            self.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def reserved(self) -> Reserved:
        """What is held, so that it counts as nobody's."""
        held = {one.uuid: one.bytes for one in self.held}
        return Reserved(pids=() if self.pid is None else (self.pid,), bytes_by_uuid=held, check=self.check)

    def check(self) -> None:
        """Raises MachineError when the process is gone, so that trials no longer meet the card's limit."""
        if self._process is None or self._process.poll() is None:
            return
        code = self._process.returncode
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        raise MachineError(
            f"emulate: the process that held {self.num_bytes / 1024**2:,.0f} MiB of each GPU is gone ({how}): trials "
            "would have the whole card now, not the emulated one's memory.\n"
            "No result is lost: trials that had ended are kept, and one that was running is tried again. The same "
            "command holds the memory anew and goes on."
        )

    def release(self) -> None:
        """Let everything go and wait until it is gone; nothing happens where nothing is held."""
        process, self._process, self.held = self._process, None, ()
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def describe(self) -> list[str]:
        """One sentence for each GPU."""
        return [
            f"{one.bytes / 1024**2:,.0f} of {one.total_bytes / 1024**2:,.0f} MiB of GPU {one.device} held"
            for one in self.held
        ]

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        output = self._process.stdout
        if not select.select([output], [], [], _START_S)[0]:
            raise MachineError(f"emulate: the CUDA driver didn't answer within {_START_S:.0f} s")
        line = output.readline()
        answer: dict[str, Any] = (
            json.loads(line) if line.endswith(b"\n") else {"error": "the process that holds it ended"}
        )
        if "error" in answer:
            raise MachineError(
                f"emulate: the memory that the emulated card doesn't have can't be held: {answer['error']}"
            )
        return answer
