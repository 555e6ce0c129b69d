"""The engine that one trial leaves alive for the next, and what is known of it between them."""

from __future__ import annotations

from collections.abc import Callable, Collection

from vbench.execution.keeper_client import KeeperGone
from vbench.execution.keepers import Keepers
from vbench.execution.live_engine import LiveEngine
from vbench.execution.memory import MemorySource


class KeptEngine:
    """At most one. `close_s`: the time that its end may take. `kept_pids`: processes that aren't its leftovers."""

    def __init__(
        self, keepers: Keepers, run_uid: str, close_s: float, kept_pids: Callable[[], Collection[int]],
        source_for: Callable[[int, int | None], MemorySource],
    ) -> None:  # fmt: skip
        self._keepers, self._run_uid, self._close_s = keepers, run_uid, close_s
        self._kept_pids, self._source_for = kept_pids, source_for
        self._held: tuple[str, LiveEngine] | None = None
        self._notes: list[str] = []

    @property
    def key(self) -> str | None:
        """`spec.config.engine_key` of the configurations that it would serve; None: none is kept."""
        held = self._held  # read once: with several runners another thread asks
        return None if held is None else held[0]

    def keep(self, key: str, engine: LiveEngine) -> None:
        """Keep this one, which serves configurations with that key."""
        self._held = key, engine

    def take(self, key: str) -> LiveEngine | None:
        """The engine, for a trial with that key; None, and none kept any more, where it can't serve it."""
        if self._held is None:
            return None
        kept_key, engine = self._held
        try:
            if engine.process.is_running() and kept_key == key:
                self._held = None
                return engine
            self.release()
        except KeeperGone:
            self.release()
            self._keepers.drop(engine.process.keeper)
        if engine.process.was_lost:
            self._notes.append(f"the engine that trial {engine.trial} left alive ended by itself")
        return None

    def release(self) -> None:
        """Close it with all its processes, and wait for its memory."""
        if self._held is None:
            return
        (_, engine), self._held = self._held, None
        self._notes += engine.close(
            within_s=self._close_s, run_uid=self._run_uid, kept_pids=self._kept_pids(), source_for=self._source_for
        )

    def discard(self) -> None:
        """Let go of one whose process has been ended with its keeper."""
        if self._held is not None:
            self._held[1].discard()
        self._held = None

    def pop_notes(self) -> list[str]:
        """What went wrong between trials since they were last asked for."""
        notes, self._notes = self._notes, []
        return notes
