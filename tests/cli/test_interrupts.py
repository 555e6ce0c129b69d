"""A signal ends a command wherever it meets it."""

from __future__ import annotations

import os
import signal
import sys
import time
import weakref
from collections.abc import Callable

import pytest

from vbench.cli.interrupts import interruptible
from vbench.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Deaf:
    """Is met by a signal while it goes: what is raised in there is lost."""

    def __init__(self, number: signal.Signals) -> None:
        self._number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self._number)
        time.sleep(0)


def _meets(number: signal.Signals) -> None:
    held = [_Deaf(number)]
    held.clear()


def _meets_in_a_callback(number: signal.Signals) -> None:
    class Thing:
        pass

    def gone(_: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(0)

    thing = Thing()
    reference = weakref.ref(thing, gone)
    del thing
    assert reference() is None


@pytest.mark.parametrize("meet", [_meets, _meets_in_a_callback])
@pytest.mark.parametrize("number", SIGNALS)
def test_where_an_exception_is_lost(
    number: signal.Signals, meet: Callable[[signal.Signals], None], capfd: pytest.CaptureFixture[str]
) -> None:
    before = [sys.unraisablehook, *map(signal.getsignal, (*SIGNALS, signal.SIGALRM))]
    told: list[str] = []

    def command() -> None:
        with interruptible("go on with: vbench", lambda: told.append("stopping")):
            meet(number)
            time.sleep(60)

    with pytest.raises(Interrupted, match="go on with"):
        command()

    assert told == ["stopping"]
    assert "Exception ignored" not in capfd.readouterr().err
    assert [sys.unraisablehook, *map(signal.getsignal, (*SIGNALS, signal.SIGALRM))] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_else_is_lost_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: seen.append(lost.exc_type))

    class Broken:
        def __del__(self) -> None:
            raise ValueError

    with interruptible("go on"):
        held = [Broken()]
        held.clear()

    assert seen == [ValueError]
