"""The vbench command with an account that sees hours: `python tests/faults/soak_vbench.py SPEED LOOKS sweep FILE …`.

Budget, ledger and sessions count every second SPEED times, what a trial took too. Everything else is as installed:
processes, deadlines and clean-up take the time they take. The fake engine sleeps a SPEEDth of what its clock says, so
its hours and the account's are the same.

After each trial, when its record is stored and the next hasn't begun, what /proc has of this process and its children
is added to the file LOOKS: looks from outside would be taken at other moments of a trial each time.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.faults import left_over
from tests.faults.soak_looks import look, note
from vbench.cli.main import main
from vbench.records.record import TrialRecord
from vbench.sweep.budget import Budget
from vbench.sweep.jobs import Job
from vbench.sweep.session import Session


def speed_up(speed: float) -> None:
    """Give the account its clock."""
    defaults: dict[str, Any] = {**(Budget.__init__.__kwdefaults__ or {}), "clock": lambda: time.monotonic() * speed}
    Budget.__init__.__kwdefaults__ = defaults
    keep = Session._keep

    def kept(self: Session, job: Job, record: TrialRecord) -> None:
        if record.duration_s is not None:
            record = record.model_copy(update={"duration_s": record.duration_s * speed})
        keep(self, job, record)

    Session._keep = kept  # type: ignore[method-assign]


def look_after_each(path: Path) -> None:
    """Note what is held whenever a trial has ended."""
    ended, before, temporary = 0, left_over.shared_memory(), Path(os.environ["TMPDIR"])
    keep = Session._keep

    def kept(self: Session, job: Job, record: TrialRecord) -> None:
        nonlocal ended
        keep(self, job, record)
        ended += 1
        note(path, look(os.getpid(), ended, temporary, self.run.path, before))

    Session._keep = kept  # type: ignore[method-assign]


if __name__ == "__main__":
    speed_up(float(sys.argv[1]))
    look_after_each(Path(sys.argv[2]))
    sys.argv[:3] = ["vbench"]
    main()
