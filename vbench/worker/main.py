"""The verbs of the worker: `identify`, `describe`, `keeper`, `trial`."""

from __future__ import annotations

import json
import os
import sys
from typing import List


def main(argv: List[str]) -> int:
    """Run one verb. Answers go to the file descriptor given, or to stdout for `identify`."""
    verb = argv[0] if argv else ""
    if verb == "identify":
        from .engines import identify

        print(json.dumps(identify()))
        return 0
    if verb == "describe":
        return _describe(engine_name=argv[1], fd=int(argv[2]))
    if verb == "keeper":
        from .keeper import serve

        return serve(control_fd=int(argv[1]), engine_name=argv[2], preload=argv[3] == "preload")
    if verb == "trial":
        from .protocol import Channel
        from .trial import run_trial

        request = json.load(os.fdopen(0, closefd=False))
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)  # as in a forked trial: a closed descriptor 0 would go to the next file that is opened
        os.close(null)
        status = run_trial(request, Channel(int(argv[1])), is_forked=False)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # as a forked trial does: an engine's teardown may crash, and tells nothing of the trial
    print(f"unknown verb {verb!r}: identify, describe, keeper or trial", file=sys.stderr)
    return 2


def _describe(engine_name: str, fd: int) -> int:
    from .engines import load_engine
    from .protocol import Channel, error_event

    channel = Channel(fd)
    try:
        channel.send({"event": "description", **load_engine(engine_name).describe()})
    except Exception as error:  # whatever an engine's import raises is the answer
        channel.send(error_event(error, phase="import"))
        return 1
    return 0
