"""What a throughput means to who has work to do: prompts per hour, minutes for mine, samples per task, tokens per Wh.

Each is a formula of one line; the page's calculator uses the same ones. All are of the measured rates: other prompts,
longer answers or a warmer card change them.
"""

from __future__ import annotations

from dataclasses import dataclass

from vbench.analysis.gpu_work import gpu_works
from vbench.metrics import value_of
from vbench.records.record import TrialRecord
from vbench.report.blocks import Block, Calculator, Fact, Facts, Prose
from vbench.report.subject import Wishes
from vbench.report.text import NOT_MEASURED
from vbench.spec.calling import num_answers

SECONDS_PER_HOUR = 3600.0
JOULES_PER_WH = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a trial measured of what its user pays for; None where it wasn't measured."""

    requests_per_s: float | None
    output_tokens_per_s: float | None
    startup_s: float | None
    """Of an engine that was started for this trial; None where it was served by one that was already there."""
    is_forked: bool
    """Whether its start-up leaves out importing the engine, as the process was forked from one that had."""
    joules_per_token: float | None
    """Of all GPUs together, by their own counters, in the timed passes, per output token."""
    answers: int
    """To each prompt."""


def rates_of(record: TrialRecord) -> Rates:
    """Taken from a record's measurements, and from its GPUs' energy counters."""
    energies = [work.energy_j_per_1000_tokens for work in gpu_works(record)]
    known = [energy for energy in energies if energy is not None]
    return Rates(
        requests_per_s=_above_0(value_of(record.measurements, "request_throughput_req_s")),
        output_tokens_per_s=_above_0(value_of(record.measurements, "output_throughput_tok_s")),
        startup_s=value_of(record.measurements, "startup_s"),
        is_forked=record.environment.get("worker_start") == "fork",
        # A part of the GPUs would be too little, so that each has to have its counter.
        joules_per_token=_above_0(sum(known) / 1000) if known and len(known) == len(energies) else None,
        answers=num_answers(record.config) or 1,
    )


def prompts_per_hour(requests_per_s: float) -> float:
    """Requests per second × 3,600: without start-up, as of an engine that goes on running.

    >>> prompts_per_hour(2.5)
    9000.0
    """
    return requests_per_s * SECONDS_PER_HOUR


def seconds_for(prompts: float, requests_per_s: float, startup_s: float | None) -> float:
    """Start-up + prompts ÷ requests per second; a start-up that wasn't measured is left out.

    >>> seconds_for(1000, 2.5, 30.0)
    430.0
    """
    return (startup_s or 0.0) + prompts / requests_per_s


def samples_per_task(hours: float, tasks: int, requests_per_s: float, startup_s: float | None) -> float:
    """(hours × 3,600 − start-up) × requests per second ÷ tasks: how often each task's prompt can be answered. Never
    below 0, which is what a start-up longer than the time gives.

    >>> samples_per_task(1, 90, 2.5, 0.0)
    100.0
    """
    left_s = hours * SECONDS_PER_HOUR - (startup_s or 0.0)
    return max(0.0, left_s) * requests_per_s / tasks


def tokens_per_wh(joules_per_token: float) -> float:
    """3,600 J a Wh ÷ joules an output token.

    >>> tokens_per_wh(0.5)
    7200.0
    """
    return JOULES_PER_WH / joules_per_token


def calculator_of(record: TrialRecord, wishes: Wishes) -> Calculator | None:
    """What the page computes with while someone types; None where the rates weren't measured."""
    rates = rates_of(record)
    if rates.requests_per_s is None or rates.output_tokens_per_s is None:
        return None
    return Calculator(
        requests_per_s=rates.requests_per_s,
        output_tokens_per_s=rates.output_tokens_per_s,
        startup_s=rates.startup_s,
        joules_per_token=rates.joules_per_token,
        prompts=_prompts(record, wishes),
        tasks=_tasks(record, wishes),
        hours=wishes.hours,
    )


def blocks_of_use(record: TrialRecord, wishes: Wishes) -> list[Block]:
    """The user's units of one trial: a calculator, and what its numbers leave out."""
    calculator = calculator_of(record, wishes)
    if calculator is None:
        fact = Fact(label="Prompts per hour", value=NOT_MEASURED, note="no rate of requests was measured")
        return [Facts((fact,))]
    caveats = _caveats(rates_of(record), record)
    return [calculator, Prose(" ".join(caveats), "muted")]


def _caveats(rates: Rates, record: TrialRecord) -> list[str]:
    caveats = [
        f"At the rates of the best, measured on {record.prompt_set.num_prompts:,} prompts; a task is one prompt."
    ]
    if rates.answers > 1:
        caveats.append(f"Each prompt was given {rates.answers} answers, and a sample is all of them.")
    if rates.startup_s is None:
        caveats.append("Start-up is not in it: another trial had started the engine, so that it was not measured.")
    elif rates.is_forked:
        caveats.append("A start takes longer where the engine has yet to be imported, as it had been here.")
    if rates.joules_per_token is not None:
        caveats.append("The energy is that of the GPUs alone, by their own counters, in the timed passes.")
    return caveats


def _prompts(record: TrialRecord, wishes: Wishes) -> int:
    return wishes.prompts or record.prompt_set.num_prompts


def _tasks(record: TrialRecord, wishes: Wishes) -> int:
    return max(1, wishes.tasks or record.prompt_set.num_prompts)


def _above_0(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None
