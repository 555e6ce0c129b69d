"""Several engines side by side, each in a process of its own, the prompts dealt out among them: the other way to use
two GPUs, beside tensor parallelism.

Replica i of N gets prompts i, i+N, …; results come back in the prompts' order. A pass lasts from the moment at which
this process tells the replicas to begin until the last one has finished; handing the answers over comes after that.
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional

from .base import Engine, PassResult, Scores, Work
from .devices import Place, places
from .replica_process import ReplicaProcess, answers_of

_SUMMED = ("kv_cache_tokens", "num_gpu_blocks", "weights_bytes")


class ReplicatedEngine(Engine):
    """`count` engines of the given name and mode, started at the same time and measured as one."""

    can_probe = False  # the replicas hold the prompts, each its share

    def __init__(self, name: str, mode: str, count: int) -> None:
        from . import load_engine

        self._name, self._mode, self._count = name, mode, count
        self._pattern = load_engine(name, mode)
        self.is_fork_safe_on = self._pattern.is_fork_safe_on
        self._replicas: List[ReplicaProcess] = []
        self._has_clock = False
        self._clock_s = 0.0

    def describe(self) -> Dict[str, Any]:
        return self._pattern.describe()

    def preload(self) -> None:
        """Nothing, unless the engine has been imported here already: replicas started fresh import their own."""
        import sys

        if self._name in sys.modules:
            self._pattern.preload()

    def platform(self) -> str:
        """Told from the installed package's version, as vLLM tells it: an import here would be one too many."""
        from . import identify

        found = identify()["engines"].get(self._name, {})
        is_cpu = self._name == "fake" or "cpu" in found.get("distribution", "") + found.get("version", "")
        return "cpu" if is_cpu else "cuda"

    def load(self, model: str, engine_args: Dict[str, Any], is_forked: bool) -> Dict[str, Any]:
        platform = "cpu" if is_forked else self.platform()
        found, notes = places(platform, self._name, engine_args, self._count)
        try:
            for index, place in enumerate(found):
                self._replicas.append(self._started(index, place, is_forked))
        except BaseException:
            self._end()
            raise
        loaded = self._ask([{"op": "load", "model": model, "engine_args": engine_args}] * self._count)
        for one in loaded:
            if one["platform"] != platform:
                raise RuntimeError(
                    "replicas were placed for platform {} and run on {}".format(platform, one["platform"])
                )
        self._has_clock = all(one["has_clock"] for one in loaded)
        return _facts([one["facts"] for one in loaded], found, notes)

    def _started(self, index: int, place: Place, is_forked: bool) -> ReplicaProcess:
        how = "fork" if is_forked else "fresh"
        return ReplicaProcess(index, place, (self._name, self._mode), how, siblings=self._replicas)

    def prepare(self, prompts: List[Dict[str, Any]]) -> List[Any]:
        """The replicas keep their share; what `generate` takes are the prompts' numbers."""
        if len(prompts) < self._count:
            raise ValueError(
                "{} replicas need as many prompts at least; there are {}".format(self._count, len(prompts))
            )
        self._ask([{"op": "prepare", "prompts": prompts[index :: self._count]} for index in range(self._count)])
        return list(range(len(prompts)))

    def check(self, work: Work) -> None:
        self._pattern.check(work)
        if work.max_concurrency is not None and work.max_concurrency < self._count:
            raise ValueError(
                "max_concurrency {} is less than one request for each of {} replicas".format(
                    work.max_concurrency, self._count
                )
            )

    def generate(self, prompts: List[Any], work: Work) -> PassResult:
        questions = [{"op": "generate", "work": part_of(work, index, self._count)} for index in range(self._count)]
        start = time.monotonic()
        times = self._ask(questions)
        if self._has_clock:
            self._clock_s += max(one["clock_s"] for one in times)
        else:
            self._clock_s += max(one["end_t"] for one in times) - start
        parts = [one["result"] for one in self._ask([{"op": "collect"}] * self._count)]
        for part, one in zip(parts, times):
            if part["send_s"] is not None:
                part["send_s"] = [value + one["begin_t"] - start for value in part["send_s"]]
        return _merged(parts, len(prompts))

    def score(self, texts: List[str], most_tokens: int) -> Scores:
        """The first replica's: all have the same weights."""
        scores = Scores()
        vars(scores).update(self._ask([{"op": "score", "texts": texts, "most_tokens": most_tokens}])[0]["scores"])
        return scores

    def greedy(self, items: List[Dict[str, Any]], work: Work) -> List[List[int]]:
        answers: List[List[int]] = self._ask([{"op": "greedy", "items": items, "work": work.as_request()}])[0]["ids"]
        return answers

    def counters(self) -> Dict[str, float]:
        totals: Dict[str, float] = {}
        for answer in self._ask([{"op": "counters"}] * self._count):
            for name, value in answer["counters"].items():
                totals[name] = totals.get(name, 0.0) + value
        return totals

    def reset_prefix_cache(self) -> Optional[bool]:
        each = [answer["was_reset"] for answer in self._ask([{"op": "reset"}] * self._count)]
        return False if False in each else None if None in each else True

    def close(self) -> None:
        self._ask([{"op": "close"}] * self._count)
        try:
            for replica in self._replicas:
                replica.wait_for_exit()
        finally:
            self._end()

    def clock(self) -> float:
        """The passes' own time (see the module): of the replicas' clocks where they have one, of the real one else."""
        return self._clock_s

    def idle(self, seconds: float) -> None:
        super().idle(seconds)
        self._clock_s += seconds

    def _ask(self, questions: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
        """Ask each replica its question (the first ones, where there are fewer) and return their answers; any error, of
        theirs or ours, ends them all."""
        try:
            asked = self._replicas[: len(questions)]
            for replica, question in zip(asked, questions):
                replica.say(question)
            return answers_of(asked, str(questions[0]["op"]))
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        for replica in self._replicas:
            replica.kill()


def part_of(work: Work, index: int, count: int) -> Dict[str, Any]:
    """A replica's share of the work, with each prompt's adapter that of a single engine: they are given in turn, so
    prompt i + j·N has adapter (i + j·N) mod the number of adapters."""
    part = work.share(index, count)
    names = list(work.lora_modules)
    turns = [names[(index + turn * count) % len(names)] for turn in range(len(names))]
    part.lora_modules = {name: work.lora_modules[name] for name in turns}  # its first occurrences: the period
    return part.as_request()


def _merged(parts: List[Dict[str, Any]], total: int) -> PassResult:
    """One result in the prompts' order. A column that one replica lacks is lacking. When it ended `clock` knows."""
    result = PassResult([], [])
    for name in vars(result):
        if name == "ended_t":
            continue
        columns = [part[name] for part in parts]
        if any(column is None for column in columns):
            continue
        whole: List[Any] = [None] * total
        for index, column in enumerate(columns):
            asked = len(whole[index :: len(parts)])
            if len(column) != asked:
                raise RuntimeError("replica {} answered {} of {} prompts".format(index, len(column), asked))
            whole[index :: len(parts)] = column
        setattr(result, name, whole)
    return result


def _facts(each: List[Dict[str, Any]], found: List[Place], notes: List[str]) -> Dict[str, Any]:
    """The first replica's, with what they are together; where another's differ, that is noted."""
    facts = dict(each[0])
    for name in _SUMMED:
        if all(isinstance(one.get(name), int) for one in each):
            facts["total_" + name] = sum(one[name] for one in each)
    facts["replicas"] = len(each)
    facts["replica_devices"] = [place.name for place in found]
    facts["notes"] = [*(facts.get("notes") or []), *notes]
    for name in sorted({key for one in each for key in one if key != "notes"}):
        values = [one.get(name) for one in each]
        if any(value != values[0] for value in values):
            facts["notes"].append("replicas differ in {}: {}".format(name, ", ".join(map(str, values))))
    return facts
