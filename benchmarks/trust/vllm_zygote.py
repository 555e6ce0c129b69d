"""A process that has imported vLLM's own benchmarks and forks for each run of one: what vbench's keeper is for trials.

    python -m benchmarks.trust.vllm_zygote

It says `ready` with what could make forking unsafe, then reads lines of JSON: `{"tool": "throughput" | "serve",
"argv": [...], "log": FILE}`. Each is run in a forked child by the tool's own `add_cli_args` and `main`, as
`vllm bench TOOL ARGV` runs it; the answer is `{"status": exit code}`. At the end of its input it ends.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import traceback
from typing import Any

from vbench.worker.engines.vllm_common import preload

TOOLS = {"throughput": "vllm.benchmarks.throughput", "serve": "vllm.benchmarks.serve"}


def main() -> None:
    preload()
    # They import pandas, and pandas pyarrow where that is installed, which starts a thread: no fork would be safe. For
    # pandas it is as if it weren't there.
    sys.modules["pyarrow"] = None  # type: ignore[assignment]
    for name in TOOLS.values():
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # as the keeper does
    _say({"event": "ready", "threads": len(os.listdir("/proc/self/task"))})
    for line in sys.stdin:
        _say({"status": _forked(json.loads(line))})


def _forked(asked: dict[str, Any]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _become_tool(asked)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _become_tool(asked: dict[str, Any]) -> None:
    """In the child; never returns. It leaves by `os._exit`, as a trial does: the engine's teardown takes a second."""
    status = 1
    try:
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        null = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, null), (1, log), (2, log)):
            os.dup2(source, target)
        _run(asked["tool"], asked["argv"])
        sys.stdout.flush()
        sys.stderr.flush()
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _run(tool: str, argv: list[str]) -> None:
    module = importlib.import_module(TOOLS[tool])
    parser = importlib.import_module("vllm.utils.argparse_utils").FlexibleArgumentParser()
    module.add_cli_args(parser)
    module.main(parser.parse_args(argv))


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
