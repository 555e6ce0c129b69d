"""One trial: load, warm up, measure, close; every step said on the channel before it begins."""

from __future__ import annotations

import faulthandler
import gc
import hashlib
import json
import os
import resource
import tempfile
import time
from typing import Any, Dict, List, Optional, Tuple

from .engines import load_engine
from .engines.base import Engine, PassResult, Work
from .load import arrival_offsets
from .next_trials import NextTrials
from .pacing import Pacer
from .printed import print_exception
from .protocol import PROTOCOL, Channel, error_event
from .quality import quality_event

# The engine lives until `os._exit`: its destructor takes a second and tells nothing.
_ALIVE: List[Engine] = []


def run_trial(request: Dict[str, Any], channel: Channel, is_forked: bool, next_fd: int = -1) -> int:
    """Run the trial that `request` describes and return the exit status: 0 after `done`, 1 after `error`.

    `next_fd`: the socket for further trials of its engine (see `protocol`), which are run too; -1: there is none.
    """
    faulthandler.enable()  # a segfault leaves its Python stack in the log
    os.environ.update(request.get("environment", {}))
    _leave_no_cores()
    tempfile.tempdir = None  # TMPDIR may have just changed
    following = None if next_fd < 0 else NextTrials(next_fd)
    trial = _Trial(request, channel)
    try:
        trial.start(is_forked)
        trial.measure()
        while following is not None and trial.is_kept:
            trial.channel.close()
            asked = following.wait()
            if asked is None:
                break
            trial.go_on(*asked)
            trial.measure()
        trial.close()
    except BaseException as error:
        trial.channel.send(error_event(error, trial.phase_name))  # first: for the log there may be no room
        print_exception()
        return 1
    return 0


def _leave_no_cores() -> None:
    """An engine's core dump is as large as its memory, and each crash of a sweep would leave one. VBENCH_CORES=1 asks
    for them; the stack is in the log without."""
    if os.environ.get("VBENCH_CORES") != "1":
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


class _Trial:
    """An engine, and the trial that it serves now."""

    def __init__(self, request: Dict[str, Any], channel: Channel) -> None:
        self.facts: Dict[str, Any] = {}
        self.prompts: List[Any] = []
        self.num_duplicates = 0
        self.output_lengths: Optional[List[int]] = None
        self._take(request, channel)

    def _take(self, request: Dict[str, Any], channel: Channel) -> None:
        self.request = request
        self.channel = channel
        self.phase_name = "start"
        self.is_kept = bool(request.get("keep_engine"))
        self.is_doubtful = False
        load = request.get("load") or {}
        self.work = Work(dict(request, max_concurrency=load.get("max_concurrency")))

    def start(self, is_forked: bool) -> None:
        """Import and load the engine, and prepare the prompts."""
        self._hello()
        self._phase("import")
        request = self.request
        self.engine = load_engine(request["engine"], request.get("mode", "offline"), request.get("replicas", 1))
        _ALIVE.append(self.engine)
        self.engine.on_tokens = self._tell_tokens
        self.engine.preload()
        gc.collect()
        gc.freeze()  # as the keeper does before forking, so that both ways of starting collect garbage alike
        self.engine.check(self.work)
        self._phase("load")
        self.facts = self.engine.load(request["model"], dict(request["engine_args"]), is_forked)
        self.channel.send({"event": "engine", "facts": self.facts})
        items = _read_prompts(request["prompts_file"])
        self.num_duplicates = len(items) - len({json.dumps(item, sort_keys=True) for item in items})
        if items and "output_tokens" in items[0]:
            self.output_lengths = [item["output_tokens"] for item in items]
        self.prompts = self.engine.prepare(items)

    def go_on(self, request: Dict[str, Any], channel: Channel) -> None:
        """Take another trial of the same engine and prompts; what else is asked may differ."""
        os.close(self.channel.fd)
        self._take(request, channel)
        self._hello()
        gc.collect()  # what the last trial left isn't to be collected in a pass of this one
        self.engine.check(self.work)
        self.channel.send({"event": "engine", "facts": self.facts})

    def measure(self) -> None:
        """All passes. The engine of a kept one is done then."""
        self.work.output_lengths = self.output_lengths
        self.work.arrivals_s = arrival_offsets(len(self.prompts), self.request.get("load") or {})
        self._probe(self.engine, self.prompts)
        for index in range(self.request["warmup_passes"]):
            self._phase("warmup", index)
            self._pass(self.engine, self.prompts, self.work, "warmup", index)
        self._timed_passes(self.engine, self.prompts)
        self._check_quality()
        if self.is_kept:
            self.channel.send({"event": "done", "t": time.monotonic(), "is_kept": True})

    def close(self) -> None:
        """Close the engine, as the last thing."""
        self._phase("close")
        if self.is_doubtful:
            return self._close_doubtful()
        self.engine.close()
        self.channel.send({"event": "done", "t": time.monotonic()})

    def _close_doubtful(self) -> None:
        """Of an engine that the check of the answers may have ended: how it ends isn't how the trial does."""
        self.channel.send({"event": "done", "t": time.monotonic()})
        try:
            self.engine.close()
        except Exception:  # whatever it is: the trial has been measured, and its end is told above
            print_exception()

    def _hello(self) -> None:
        self.channel.send({"event": "hello", "protocol": PROTOCOL, "pid": os.getpid(), "t": time.monotonic()})

    def _phase(self, name: str, index: int = 0, **plan: Any) -> None:
        self.phase_name = name
        self.channel.phase(name, index, **plan)

    def _tell_tokens(self, count: int, elapsed_s: float) -> None:
        self.channel.send_if_free({"event": "tokens", "count": count, "elapsed_s": round(elapsed_s, 3)})

    def _probe(self, engine: Engine, prompts: List[Any]) -> None:
        """A pass over a few of the prompts, evenly taken, before all others: it tells early what isn't worth more."""
        count = self.request.get("probe_prompts") or 0
        if 0 < count < len(prompts) and engine.can_probe:
            indexes = [index * len(prompts) // count for index in range(count)]
            self._phase("probe")
            self._pass(engine, [prompts[index] for index in indexes], self.work.of(indexes), "probe", 0)

    def _timed_passes(self, engine: Engine, prompts: List[Any]) -> None:
        pacer = Pacer(self.request)
        index = 0
        while pacer.wants_more():
            self._phase("pass", index, **pacer.plan())
            pacer.took(*self._pass(engine, prompts, self.work, "timed", index))
            index += 1
        self.channel.send(dict(pacer.summary(), num_duplicates=self.num_duplicates))

    def _check_quality(self) -> None:
        """The check of the answers, where it is asked for. Its failure isn't the trial's: what is measured stands."""
        if not self.request.get("quality"):
            return
        self._phase("quality")
        try:
            event = quality_event(self.engine, self.request, _read_prompts(self.request["prompts_file"]))
        except Exception as error:
            print_exception()
            event = {"event": "quality", "problem": "{}: {}".format(type(error).__name__, error)[:2000]}
            self.is_doubtful = not isinstance(error, NotImplementedError)  # it may have ended the engine
            self.is_kept = self.is_kept and not self.is_doubtful
        self.channel.send(event)

    def _pass(self, engine: Engine, prompts: List[Any], work: Work, kind: str, index: int) -> Tuple[float, int]:
        """Seconds, and output tokens."""
        prefix_cache = self._reset_prefix_cache(engine)
        before = engine.counters()
        start = time.monotonic()
        clock_start = engine.clock()
        result = engine.generate(prompts, work)
        late_s = result.late_s()
        slow_share = self.request.get("slow_share") or 0.0  # no sweep can ask for it: see `protocol`
        if slow_share > 0:
            engine.idle(slow_share * (engine.clock() - clock_start - late_s))
        duration_s = engine.clock() - clock_start - late_s
        after = engine.counters()
        self.channel.send(
            {
                "event": "pass",
                "kind": kind,
                "index": index,
                "t": start,
                "duration_s": duration_s,
                "prefix_cache": prefix_cache,
                "requests": dict(_columns(result), asked_tokens=work.asked_tokens()),
                "output_sha256": hashlib.sha256(json.dumps(result.token_ids).encode()).hexdigest(),
                "engine_metrics": {name: after[name] - before.get(name, 0) for name in sorted(after)},
            }
        )
        return duration_s, sum(map(len, result.token_ids))

    def _reset_prefix_cache(self, engine: Engine) -> str:
        """What became of it, in the words of `protocol`."""
        if not self.request.get("reset_prefix_cache", True):
            return "kept"
        was_reset = engine.reset_prefix_cache()
        return "unsupported" if was_reset is None else "reset" if was_reset else "refused"


def _columns(result: PassResult) -> Dict[str, Any]:
    columns: Dict[str, Any] = {
        "input_tokens": result.input_tokens,
        "output_tokens": [len(ids) for ids in result.token_ids],
    }
    for name in ("ttft_s", "tpot_s", "e2e_latency_s", "send_s"):
        values = getattr(result, name)
        columns[name] = None if values is None else [None if v is None else round(v, 6) for v in values]
    for name in ("finish_reasons", "given_tokens"):
        columns[name] = getattr(result, name)
    if result.itl_s is not None:
        columns["itl_s"] = [[round(gap, 6) for gap in gaps] for gaps in result.itl_s]
    return columns


def _read_prompts(path: str) -> List[Dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]
