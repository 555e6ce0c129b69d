"""One engine of several side by side: does what the trial's process asks over one pipe and answers over another.

One JSON object a line each way, one answer a question. Questions (`op`): load, prepare, generate, collect, score,
greedy, counters, reset, close. The answers of a pass are handed over by `collect`, when all replicas have finished:
packing and reading them takes time that isn't the engines'. An error is an `error` event, as the trial's own; after it
the process ends.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import sys
import time
import traceback
from typing import Any, Dict, List, Optional

from .engines import load_engine
from .engines.base import Engine, PassResult, Work
from .protocol import Channel, error_event

# As in a trial: the engine lives until `os._exit`, its destructor tells nothing.
_ALIVE: List[Engine] = []


def serve(engine_name: str, mode: str, questions_fd: int, answers_fd: int, is_forked: bool) -> int:
    """Answer until `close`, or until the trial's process is gone; returns the exit status."""
    faulthandler.enable()
    os.set_inheritable(questions_fd, False)
    channel = Channel(answers_fd)
    op = "start"
    try:
        replica = _Replica(load_engine(engine_name, mode), is_forked)
        with open(questions_fd, encoding="utf-8") as questions:
            for line in questions:
                question = json.loads(line)
                op = question.pop("op")
                channel.send(getattr(replica, op)(**question))
                if op == "close":
                    return 0
    except BaseException as error:
        traceback.print_exc()
        channel.send(error_event(error, op))
    return 1


class _Replica:
    """The questions, one method each."""

    def __init__(self, engine: Engine, is_forked: bool) -> None:
        self.engine = engine
        self.is_forked = is_forked
        self.prompts: List[Any] = []
        self.work = Work({})
        self.result: Optional[PassResult] = None
        _ALIVE.append(engine)

    def load(self, model: str, engine_args: Dict[str, Any]) -> Dict[str, Any]:
        self.engine.preload()
        gc.collect()
        gc.freeze()  # as a trial does with its only engine
        facts = self.engine.load(model, engine_args, self.is_forked)
        has_clock = type(self.engine).clock is not Engine.clock
        return {"facts": facts, "platform": self.engine.platform(), "has_clock": has_clock}

    def prepare(self, prompts: List[Dict[str, Any]]) -> Dict[str, Any]:
        self.prompts = self.engine.prepare(prompts)
        return {}

    def generate(self, work: Dict[str, Any]) -> Dict[str, Any]:
        begin_t, clock_start = time.monotonic(), self.engine.clock()
        if self.work.as_request() != work:  # the same object in every pass: an engine keeps what it made of it
            self.work = Work(work)
        self.result = self.engine.generate(self.prompts, self.work)
        late_s = self.result.late_s()
        return {
            "begin_t": begin_t,
            "end_t": time.monotonic() - late_s,
            "clock_s": self.engine.clock() - clock_start - late_s,
        }

    def collect(self) -> Dict[str, Any]:
        result, self.result = self.result, None
        return {"result": vars(result)}

    def score(self, texts: List[str], most_tokens: int) -> Dict[str, Any]:
        return {"scores": vars(self.engine.score(texts, most_tokens))}

    def greedy(self, items: List[Dict[str, Any]], work: Dict[str, Any]) -> Dict[str, Any]:
        return {"ids": self.engine.greedy(items, Work(work))}

    def counters(self) -> Dict[str, Any]:
        return {"counters": self.engine.counters()}

    def reset(self) -> Dict[str, Any]:
        return {"was_reset": self.engine.reset_prefix_cache()}

    def close(self) -> Dict[str, Any]:
        self.engine.close()
        sys.stdout.flush()
        sys.stderr.flush()
        return {}
