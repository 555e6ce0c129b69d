"""What is swept in the soak: four sweeps on the fake engine, each of which meets vbench in another way.

A quarter of a sweep's trials, or a third, are told to misbehave, each in one of the ways that `WAYS` lists.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

COMPLETED = "completed"
_FINE, _LATE, _MEMORY = (COMPLETED,), ("timed_out",), ("out_of_memory",)
_CRASHED = ("crashed", *_MEMORY)  # where the kernel kills for memory meanwhile, whoever it was, that may be the reason
_FAILED = (*_CRASHED, *_LATE, "interrupted")
_AT_CLOSE = (*_FAILED, COMPLETED)  # an engine that is kept isn't closed within its trial

WAYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("oom@load", "oom@pass", "host_oom@pass"), _MEMORY),
    **dict.fromkeys(("exception@load", "exception@pass", "engine_dead@pass", "recursion@pass"), _CRASHED),
    **dict.fromkeys(("interrupt@pass", "sys_exit@load", "exit@pass", "term@pass"), _CRASHED),
    **dict.fromkeys(("segfault@load", "segfault@pass", "abort@load"), _CRASHED),
    **dict.fromkeys(("kill@load", "kill@pass", "kill_child@load"), _CRASHED),
    **dict.fromkeys(("bus_error@pass", "errno=ENOSPC@load", "errno=EMFILE@pass", "errno=EADDRINUSE@load"), _FAILED),
    **dict.fromkeys(("exception@close", "exit@close", "segfault@close", "hang@close"), _AT_CLOSE),
    **dict.fromkeys(("hang@load", "hang@pass", "hang_deaf@pass", "stop@pass"), _LATE),
    **dict.fromkeys(("say_endless={}@pass", "say_line_endless@pass"), _FAILED),
    **dict.fromkeys(("say=what@load", "say_and_exit={@pass", "say_binary@pass", "close_pipe@pass"), _FAILED),
    **dict.fromkeys(("nan", "infinite", "cut", "repeat"), _FAILED),
    **dict.fromkeys(("flood@load", "flood=16@pass", "flood_line@load", "binary@pass", "spin=0.1@pass"), _FINE),
    **dict.fromkeys(("leave_child@load", "leave_child@pass", "leave_deaf_child@load", "leave_grandchild@pass"), _FINE),
    **dict.fromkeys(("leave_children=9@load", "leave_unmarked@pass", "listen@load"), _FINE),
    **dict.fromkeys(("leak_shm@load", "leak_temp@load", "leak_socket@pass", "leak_fds@load", "eat=48@pass"), _FINE),
}
"""By what the fake engine is told: how the trial may end."""

LEFT_OUT = {
    "raise": "what `exception` does, with a text",
    "print": "says something harmless",
    "flood_endless": "gigabytes a second",
    "eat_in_child": "takes all memory there is",
    "respawn": "two processes that start each other anew, for as long as it takes to end them",
    "negative": "a single wrong number",
    "other_gaps": "a single wrong number",
    "no_tokens": "a single wrong number",
    "fill_shm": "nothing, where there is room",
    "fork_chain": "a daemon, as `leave_grandchild`, over and over",
    "print_environment": "says something harmless",
    "raise_environment": "what `exception` does, with a text",
}
"""Kinds that have tests of their own, and why they aren't here."""

_SLOW = ("hang", "stop", "say_endless", "say_line_endless")
_MACHINES = ("errno", "bus_error")
"""What is the machine's fault isn't the reused engine's."""
_SPOILING = ("nan", "infinite", "cut", "repeat")  # what of a result is wrong isn't wrong on a reused engine alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One sweep, and what is done to it. `share` is its part of all trials."""

    name: str
    about: str
    share: float
    keeps: bool = False
    """Whether its trials differ in what is asked of a living engine."""
    parallel: int = 1
    is_hit: bool = True
    """Whether its keepers and trials are killed at random moments."""
    is_cut: bool = False
    """Whether vbench itself is killed, interrupted and resumed."""


ARMS = (
    Arm(name="long", about="one sitting; keepers and trials are killed", share=0.4),
    Arm(name="kept", about="one sitting; an engine serves trial after trial, and is killed", share=0.2, keeps=True),
    Arm(name="slots", about="one sitting; two trials side by side, keepers and trials are killed", share=0.15,
        parallel=2),
    Arm(name="cut", about="many sittings; vbench is killed, interrupted and resumed", share=0.25, is_cut=True,
        is_hit=False),
)  # fmt: skip


def sweep_file(arm: Arm, *, trials: int, seed: int, speed: float, slow: bool = True, deadline_s: float = 5.0) -> str:
    """The YAML of an arm's sweep. `slow`: with the ways that wait for a deadline."""
    ways = [way for way in WAYS if slow or not way.startswith(_SLOW)]
    if arm.keeps:  # a sampling setting strikes in a pass, or only on an engine that has served others
        kinds = dict.fromkeys(kind for way in ways if (kind := kind_of(way)) not in _SPOILING)
        searched = (
            "  max_num_seqs: [4, 8]\n  sampling.seed: {low: 0, high: 99999}\n"
            f"  sampling.top_k: [1, 2, 3, 4: {{sampling.fail: [{_listed(one + at for one in kinds for at in AT)}]}}]"
        )
    else:
        searched = (
            "  max_num_seqs: {low: 1, high: 8}\n  seed: {low: 0, high: 99999}\n"
            f"  block_size: [16, 32, 64, 128: {{fail: [{_listed(ways)}]}}]"
        )
    return f"""\
name: {arm.name}
model: org/name
engine: fake
prompts: {{synthetic: {{count: 8, input_tokens: 16}}, output_tokens: 256}}
engine_args: {{sleep_scale: {1 / speed:g}, noise: 0.05}}
measure: {{warmup_passes: 1, passes: 2, repeat_spoiled: false, settle: false, reference_every: 100}}
deadlines: {{load: {deadline_s:g}s, pass: {deadline_s:g}s, close: {deadline_s:g}s}}
parameters:
{searched}
baseline: {{max_num_seqs: 8}}
search:
  {{method: random, trials: {trials}, seed: {seed}, gpu_hours: 10000, timeout: 10000h,
   parallel_trials: {arm.parallel}, machine_faults: go_on}}
"""


AT = ("", "@reused")


def kind_of(way: str) -> str:
    """Without its phase."""
    return way.rpartition("@")[0] or way


def expected(way: str | None) -> tuple[str, ...]:
    """How a trial may end that was told to misbehave so; None: it wasn't."""
    if way is None:
        return _FINE
    if way.endswith("@reused"):  # it has a fresh engine then, on which it doesn't
        return (*_FINE, "interrupted") if way.startswith(_MACHINES) else _FINE
    if way in WAYS:
        return WAYS[way]
    return tuple({each for name, ends in WAYS.items() if kind_of(name) == way for each in ends})


def _listed(ways: Iterable[str]) -> str:
    return ", ".join(f"'{way}'" for way in ways)
