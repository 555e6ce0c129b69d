from __future__ import annotations

import math
from typing import Any

import pytest

from tests.analysis.gpu_builders import make_gpu_phase, make_gpu_record
from tests.records.builders import MIB, make_failure, make_record
from vbench.analysis.gpu_doubts import gpu_doubts
from vbench.analysis.gpu_work import gpu_works
from vbench.analysis.remeasure import remeasured
from vbench.outcome import Outcome
from vbench.records.record import Phase


def test_a_gpu_in_a_trial() -> None:
    passes = [
        {"energy_j": 400.0, "mean_power_w": 100.0, "num_samples": 60, "slowed_by": ("software power cap",)},
        {"energy_j": 200.0, "mean_power_w": 130.0, "num_samples": 30, "min_sm_clock_mhz": 1300, "foreign_pids": (7,)},
    ]
    loading = {"peak_used_bytes": 7000 * MIB, "peak_temperature_c": 75, "slowed_by": ("hardware slowdown",)}
    waiting = {"peak_used_bytes": 9000 * MIB, "peak_temperature_c": 90, "foreign_pids": (8,), "xids": (31,)}
    (work,) = gpu_works(make_gpu_record(0, passes, load=loading, after=waiting))

    assert work.energy_j_per_1000_tokens == 300.0  # 600 J for two passes of 1,000 tokens
    assert work.mean_power_w == 110.0  # (60 · 100 + 30 · 130) ÷ 90
    assert (work.lowest_sm_clock_mhz, work.mean_sm_clock_mhz) == (1300, 1500.0)
    assert (work.peak_used_bytes, work.top_temperature_c) == (7000 * MIB, 75)  # not what came after the trial
    assert work.slowed_by == ("software power cap",)  # not what was while loading
    assert (work.foreign_pids, work.xids) == ((7,), (31,))


def test_each_gpu_has_its_own() -> None:
    record = make_gpu_record(gpus=(3, 1))
    record.phases[2].gpus[1]["energy_j"] = 100.0  # type: ignore[index]

    assert [(one.gpu, one.energy_j_per_1000_tokens) for one in gpu_works(record)] == [(3, 400.0), (1, 250.0)]


def test_energy_of_a_pass_without_a_phase_is_not_known() -> None:
    record = make_gpu_record(0, [{}, {}])
    phases = [one for one in record.phases if (one.name, one.index) != ("pass", 1)]
    (work,) = gpu_works(record.model_copy(update={"phases": phases}))
    assert work.energy_j_per_1000_tokens is None


def test_a_finalist_has_the_energy_of_its_finals() -> None:
    first = make_gpu_record(0, [{"energy_j": 900.0}, {"energy_j": 900.0}])
    again: dict[str, Any] = {"origin": "final", "repeat_of": 0}
    finals = [
        make_gpu_record(2, [{"energy_j": 400.0}, {"energy_j": 300.0}], **again),
        make_gpu_record(3, [{"energy_j": 200.0}, {"energy_j": 100.0}], **again),
    ]
    (record,) = remeasured([first, *finals])
    (work,) = gpu_works(record)

    assert work.energy_j_per_1000_tokens == 250.0  # 1,000 J for four passes of 1,000 tokens
    phases = [(one.index, (one.gpus or [{}])[0]["energy_j"]) for one in record.phases if one.name == "pass"]
    assert phases == [(0, 400.0), (1, 300.0), (2, 200.0), (3, 100.0)]


def test_energy_that_is_known_in_part_is_not_known() -> None:
    (work,) = gpu_works(make_gpu_record(0, [{}, {"energy_j": None}]))

    assert work.energy_j_per_1000_tokens is None
    assert work.mean_power_w == 100.0


def test_a_pass_that_did_not_end_counts_in_nothing_but_memory() -> None:
    record = make_gpu_record(0, [{}, {"mean_power_w": 900.0, "peak_used_bytes": 8000 * MIB}])
    (work,) = gpu_works(record.model_copy(update={"passes": record.passes[:2]}))  # the warm-up and the first

    assert (work.mean_power_w, work.energy_j_per_1000_tokens) == (100.0, 400.0)
    assert work.peak_used_bytes == 8000 * MIB


def test_a_trial_that_measured_nothing_has_its_memory() -> None:
    failed = make_gpu_record(0, [], throughput=None, outcome=Outcome.OUT_OF_MEMORY, failure=make_failure())
    (work,) = gpu_works(failed)

    assert work.peak_used_bytes == 6000 * MIB
    assert (work.mean_power_w, work.energy_j_per_1000_tokens, work.slowed_by) == (None, None, None)


def test_without_gpus_there_is_nothing() -> None:
    assert gpu_works(make_record()) == []
    assert gpu_doubts([make_record()]) == []


@pytest.mark.parametrize("broken", [{}, {"gpu": None}, {"gpu": "0"}, {"gpu": math.nan}])
def test_what_names_no_gpu_is_left_out(broken: dict[str, Any]) -> None:
    assert gpu_works(make_record(phases=[Phase(name="pass", start_s=0, end_s=1, gpus=[broken])])) == []


def test_values_of_another_kind_are_not_readable() -> None:
    broken = {name: "much" for name in make_gpu_phase() if name != "gpu"}
    broken["slowed_by"], broken["foreign_pids"] = [1, None], {"pid": 1}  # type: ignore[assignment]
    (work,) = gpu_works(make_record(phases=[Phase(name="pass", start_s=0, end_s=1, gpus=[{"gpu": 0, **broken}])]))

    assert (work.peak_used_bytes, work.mean_power_w, work.mean_sm_clock_mhz) == (None, None, None)
    assert (work.slowed_by, work.foreign_pids) == ((), None)


def doubts(*trials: Any) -> list[tuple[str, tuple[int, ...], bool]]:
    return [(one.text, one.trials, one.is_serious) for one in gpu_doubts(trials)]


def test_cards_that_are_well_raise_no_doubt() -> None:
    slower = [{"mean_sm_clock_mhz": 1430.0}] * 2  # by less than 5 %
    desktop = [{"foreign_pids": (9,), "peak_foreign_bytes": 20 * MIB}] * 2
    assert doubts(make_gpu_record(0), make_gpu_record(1, slower), make_gpu_record(2, desktop)) == []


def test_heat_is_serious_and_a_power_limit_is_not() -> None:
    hot = [{"slowed_by": ("software power cap", "hardware thermal slowdown")}, {}]
    found = doubts(make_gpu_record(4, hot), make_gpu_record(2, hot), make_gpu_record(3))

    (first, trials, is_serious), (second, _, is_second_serious) = found
    assert first.startswith("GPU 0 slowed itself down during timed passes (hardware thermal slowdown): ")
    assert (trials, is_serious, is_second_serious) == ((2, 4), True, False)
    assert second.startswith("GPU 0 was at its power limit")


def test_a_clock_that_sagged_between_passes_and_against_other_trials() -> None:
    low = [{"mean_sm_clock_mhz": 1300.0}] * 2
    sagging = [{"mean_sm_clock_mhz": 1500.0}, {"mean_sm_clock_mhz": 1400.0}]  # 1,450 in the mean: 3 % below
    ((between, trials, _), (against, others, _)) = doubts(
        make_gpu_record(0, sagging), make_gpu_record(1), make_gpu_record(2, low)
    )

    assert between.startswith("GPU 0's clock differed by more than 5% between timed passes")
    assert against.startswith("GPU 0's clock averaged more than 5% below the 1,500 MHz of trial 1")
    assert (trials, others) == ((0,), (2,))


@pytest.mark.parametrize(
    ("slowed_by", "serious"),
    [((), [True]), (None, [False]), (("software power cap",), [False]), (("hardware slowdown",), [True, True])],
)
def test_a_lower_clock_is_serious_unless_the_load_may_be_what_lowers_it(slowed_by: Any, serious: list[bool]) -> None:
    low = make_gpu_record(1, [{"mean_sm_clock_mhz": 1000.0, "slowed_by": slowed_by}])
    found = doubts(make_gpu_record(0), low)

    assert [is_serious for _, _, is_serious in found] == serious
    is_by_power = slowed_by == ("software power cap",)
    assert any("below the 1,500 MHz of trial 0" in text for text, _, _ in found) is not is_by_power


def test_a_gpu_that_a_trial_leaves_alone_may_rest() -> None:
    resting = [
        {"mean_utilization_percent": 0.0, "mean_sm_clock_mhz": clock, "slowed_by": ()} for clock in (300.0, 600.0)
    ]
    assert doubts(make_gpu_record(0), make_gpu_record(1, resting)) == []


def test_others_on_the_card() -> None:
    known = [{"foreign_pids": (41, 42), "peak_foreign_bytes": 300 * MIB}]
    unknown = [{"foreign_pids": (41,), "peak_foreign_bytes": None}]
    first, second = doubts(make_gpu_record(0, known), make_gpu_record(1, unknown))

    assert first[0].startswith("other processes had memory on GPU 0 (pids 41, 42)")
    assert second[0].startswith("other processes had memory on GPU 0 (pid 41)")


def test_an_xid_is_said() -> None:
    ((text, _, is_serious),) = doubts(make_gpu_record(0, after={"xids": (79,)}))

    assert "reported XID 79" in text
    assert is_serious
