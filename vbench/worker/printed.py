"""What was printed and not written yet."""

from __future__ import annotations

import sys
import traceback


def flush() -> None:
    """Write it out, as far as there is room for it: a full disk is no failure of what has been done."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass  # no room, or closed


def print_exception() -> None:
    """Write what is being handled to the log, as far as there is room for it."""
    try:
        traceback.print_exc()
    except (OSError, ValueError):
        pass
    flush()
