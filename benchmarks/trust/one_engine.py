"""One engine in this process, on which vbench's pass and vLLM's own timed function can be run in turns.

    python -m benchmarks.trust.one_engine REQUEST ARGV

REQUEST: the JSON of a worker's request; ARGV: a JSON list, the words of `vllm bench throughput`. It says `ready`, then
reads lines: `vbench` runs a pass of the worker (`worker/trial.py`), `vllm` runs `_run_vllm_requests` of
`vllm/benchmarks/throughput.py` on the same `LLM` object with the requests that the command would make of ARGV. The
answer is `{"tok_s", "input_tokens", "output_tokens"}`: output tokens by the engine's outputs, seconds by each one's own
clock.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import sys
from collections.abc import Callable
from typing import Any

from vbench.worker.protocol import Channel
from vbench.worker.trial import _Trial


def main() -> None:
    """Load, warm up both ways, then do what each line asks."""
    request, argv = (json.loads(word) for word in sys.argv[1:3])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the engine prints goes to the log
    trial = _Trial(request, _Heard())
    trial.start(is_forked=False)
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "vbench": lambda: _by_vbench(trial),
        "vllm": _by_vllm(trial.engine._llm, argv),  # type: ignore[attr-defined]  # the very object that vbench uses
    }
    for way in ways.values():
        way()
    _say(answers, {"event": "ready"})
    for line in sys.stdin:
        _say(answers, ways[line.strip()]())
    os._exit(0)  # as a trial does


class _Heard(Channel):
    """Keeps the last message, which it has made JSON of as the real one does."""

    def __init__(self) -> None:
        super().__init__(os.open(os.devnull, os.O_WRONLY))
        self.last: dict[str, Any] = {}

    def send(self, message: dict[str, Any]) -> None:
        super().send(message)
        self.last = message


def _by_vbench(trial: _Trial) -> dict[str, Any]:
    seconds, num_tokens = trial._pass(trial.engine, trial.prompts, trial.work, "timed", 0)
    assert isinstance(trial.channel, _Heard)
    columns = trial.channel.last["requests"]
    return {"tok_s": num_tokens / seconds, "input_tokens": sum(columns["input_tokens"]), "output_tokens": num_tokens}


def _by_vllm(llm: Any, argv: list[str]) -> Callable[[], dict[str, Any]]:
    tool = importlib.import_module("vllm.benchmarks.throughput")
    parser = importlib.import_module("vllm.utils.argparse_utils").FlexibleArgumentParser()
    tool.add_cli_args(parser)
    arguments = parser.parse_args(argv)
    tool.validate_args(arguments)
    random.seed(arguments.seed)  # as its `main` does, before it takes the requests
    requests = tool.get_requests(arguments, llm.get_tokenizer())

    def run() -> dict[str, Any]:
        seconds, outputs = tool._run_vllm_requests(llm, requests, 1, False, False, False, False)
        num_tokens = sum(len(one.token_ids) for output in outputs for one in output.outputs)
        num_input = sum(len(output.prompt_token_ids) for output in outputs)
        return {"tok_s": num_tokens / seconds, "input_tokens": num_input, "output_tokens": num_tokens}

    return run


def _say(answers: Any, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
