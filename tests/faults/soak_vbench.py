"""The vbench command with an account that sees hours: `python tests/faults/soak_vbench.py SPEED sweep FILE …`.

Budget, ledger and sessions count every second SPEED times, what a trial took too. Everything else is as installed:
processes, deadlines and clean-up take the time they take. The fake engine sleeps a SPEEDth of what its clock says, so
its hours and the account's are the same.
"""

from __future__ import annotations

import sys
import time
from typing import Any

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


if __name__ == "__main__":
    speed_up(float(sys.argv[1]))
    sys.argv[:2] = ["vbench"]
    main()
