"""The verbs of the worker: `identify`, `describe`, `count-tokens`, `keeper`, `trial`; a trial's `server`, `replica`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Callable, Dict, List


def main(argv: List[str]) -> int:
    """Run one verb. Answers go to the file descriptor given, or to stdout for `identify`."""
    verb = argv[0] if argv else ""
    if verb in ("identify", "describe", "count-tokens"):
        _end_with_parent()
    if verb == "identify":
        from .engines import identify

        print(json.dumps(identify()))
        return 0
    if verb == "describe":
        return _answer(int(argv[2]), lambda: _description(argv[1]), "import")
    if verb == "count-tokens":
        return _answer(int(argv[1]), _token_counts, "tokenizer")
    if verb == "keeper":
        from .keeper import serve

        return serve(control_fd=int(argv[1]), engine_name=argv[2], preload=argv[3] == "preload")
    if verb == "trial":
        from .protocol import Channel
        from .trial import run_trial

        status = run_trial(_request_on_stdin(), Channel(int(argv[1])), False, *map(int, argv[2:]))
        _leave(status)
    if verb == "server":
        from .engines.vllm_server_child import serve as serve_http

        _leave(serve_http(_request_on_stdin(), fd=int(argv[1]), is_forked=False))
    if verb == "replica":
        from .replica import serve as serve_replica

        _leave(serve_replica(argv[1], argv[2], int(argv[3]), int(argv[4]), is_forked=False))
    print(f"unknown verb {verb!r}: identify, describe, keeper or trial", file=sys.stderr)
    return 2


def _end_with_parent() -> None:
    """A question that nobody waits for any more isn't answered: an engine's import may take for ever."""
    try:
        from .adopting import die_with_parent
    except ImportError:  # a Python that was built without ctypes can still say what it holds
        return
    die_with_parent(os.getppid())


def _answer(fd: int, ask: Callable[[], Dict[str, Any]], phase: str) -> int:
    """Send one event, or the error that asking ended in; the exit status."""
    from .protocol import Channel, error_event

    channel = Channel(fd)
    try:
        channel.send(ask())
    except Exception as error:  # whatever an engine's import or a tokenizer raises is the answer
        channel.send(error_event(error, phase))
        return 1
    return 0


def _description(engine_name: str) -> Dict[str, Any]:
    from .engines import load_engine

    return {"event": "description", **load_engine(engine_name).describe()}


def _token_counts() -> Dict[str, Any]:
    from .engines.token_counts import count_tokens

    return {"event": "token_counts", "counts": count_tokens(_request_on_stdin())}


def _request_on_stdin() -> Dict[str, Any]:
    request: Dict[str, Any] = json.load(os.fdopen(0, closefd=False))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)  # as in a forked trial: a closed descriptor 0 would go to the next file that is opened
    os.close(null)
    return request


def _leave(status: int) -> None:
    from .printed import flush

    flush()
    os._exit(status)  # as a forked trial does: an engine's teardown may crash, and tells nothing of the trial
