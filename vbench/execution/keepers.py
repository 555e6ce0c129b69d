"""The keepers of a run: one for each interpreter and each set of environment variables that its trials need.

A forked trial has imported its engine already, so variables that are read at import must have been the keeper's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vbench.execution.interpreters import Interpreter
from vbench.execution.keeper_client import Keeper, KeeperGone
from vbench.spec.types import SweepSpec

_MOST_ALIVE = 3  # each holds an imported engine, some 300 MB


class Keepers:
    """Starts keepers as they are asked for and stops them at the end; of more than three, the longest unused."""

    def __init__(self, spec: SweepSpec, run_uid: str, log: Path) -> None:
        self._spec, self._run_uid, self._log = spec, run_uid, log
        self._alive: dict[tuple[str, tuple[tuple[str, str], ...]], Keeper] = {}

    @property
    def pids(self) -> tuple[int, ...]:
        """Of all that run."""
        return tuple(keeper.pid for keeper in self._alive.values())

    def running(self, interpreter: Interpreter, environment: Mapping[str, str], *, preload: bool) -> Keeper:
        """The keeper for these, started if it isn't there. Raises KeeperGone when even one without preload dies."""
        key = (interpreter.path, tuple(sorted(environment.items())))
        if key in self._alive:
            self._alive[key] = self._alive.pop(key)  # now the one used last
            return self._alive[key]
        while len(self._alive) >= _MOST_ALIVE:
            self.drop(next(iter(self._alive.values())))
        keeper = Keeper(
            interpreter, self._spec.engine, preload=preload, environment=environment, run_uid=self._run_uid,
            log=self._log,
        )  # fmt: skip
        self._alive[key] = keeper
        try:
            keeper.wait_ready(self._spec.deadlines.load_s)
        except KeeperGone:
            self.drop(keeper)
            if not preload:
                raise
            return self.running(interpreter, environment, preload=False)  # an import that kills it: cold trials
        except BaseException:
            self.drop(keeper)
            raise
        return keeper

    def drop(self, keeper: Keeper) -> None:
        """Stop one, with all that it started."""
        self._alive = {key: one for key, one in self._alive.items() if one is not keeper}
        keeper.close()

    def close(self) -> None:
        """Stop all."""
        for keeper in list(self._alive.values()):
            self.drop(keeper)
