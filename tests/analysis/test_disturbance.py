"""What disturbs a trial, and what spoils it: by figures of the host and of its GPUs, and by its passes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.analysis.gpu_builders import make_gpu_record
from tests.records.builders import make_record
from vbench.analysis.disturbance import disturbances, is_host_known, spoils, spread_of
from vbench.records.record import Phase, TrialRecord

STEADY, UNSTEADY = (250.0, 250.5, 250.0), (250.0, 262.0, 249.0)


def make_host(**changes: Any) -> dict[str, Any]:
    """Four seconds of a quiet machine of 8 cores, of which the trial takes 2."""
    fields: dict[str, Any] = {
        "seconds": 4.0, "cpus": 8, "busy_cores": 2.1, "trial_cores": 2.0, "vbench_cores": 0.0, "foreign_cores": 0.1,
        "steal_share": 0.0, "pressure_share": 0.01, "throttled_share": 0.0, "num_throttled": 0, "load_1min": 2.0,
        "cpu_mhz": None, "is_whole_machine": True,
    }  # fmt: skip
    return {**fields, **changes}


def make_hosted(throughput: tuple[float, ...] = STEADY, **changes: Any) -> TrialRecord:
    """A trial whose passes all had the same machine."""
    phases = [
        Phase(name="pass", index=index, start_s=0.0, end_s=4.0, host=make_host(**changes))
        for index in range(len(throughput))
    ]
    return make_record(0, throughput, phases=phases)


def levels(record: TrialRecord) -> list[tuple[str, str]]:
    return [(one.kind, one.level) for one in disturbances(record)]


def test_a_quiet_machine_disturbs_nothing() -> None:
    assert disturbances(make_hosted()) == []
    assert disturbances(make_hosted(UNSTEADY)) == []
    assert is_host_known(make_hosted())


def test_a_little_on_a_large_machine_is_nothing() -> None:
    assert disturbances(make_hosted(UNSTEADY, cpus=64, busy_cores=2.2, foreign_cores=0.2)) == []


@pytest.mark.parametrize(("throughput", "level"), [(STEADY, "note"), (UNSTEADY, "spoils"), ((250.0,), "spoils")])
def test_where_cores_were_free_the_passes_decide(throughput: tuple[float, ...], level: str) -> None:
    record = make_hosted(throughput, busy_cores=5.0, foreign_cores=3.0, pressure_share=0.12)

    assert levels(record) == [("foreign", level)]
    (one,) = disturbances(record)
    assert one.text == (
        "other processes took 3.0 of 8 cores during timed passes (3.0 were free, and some process waited for one 12% "
        "of the time): end what else runs here, and measure again"
    )
    assert one.cause == "other processes took 3.0 of 8 cores"
    assert one.amount == pytest.approx(0.375)


def test_where_none_was_free_the_engine_went_without_whatever_the_passes_say() -> None:
    crowded = make_hosted(STEADY, busy_cores=7.9, foreign_cores=0.6, pressure_share=None)

    assert levels(crowded) == [("foreign", "spoils")]
    assert "(none was free): " in disturbances(crowded)[0].text
    assert levels(make_hosted(STEADY, busy_cores=7.9, foreign_cores=0.3)) == []  # a daemon's share


def test_in_a_container_the_others_may_be_out_of_sight() -> None:
    record = make_hosted(UNSTEADY, busy_cores=5.0, foreign_cores=3.0, is_whole_machine=False)

    assert "they may be another container's, which can't be seen from here" in disturbances(record)[0].text


@pytest.mark.parametrize(
    ("throughput", "steal", "expected"),
    [
        (STEADY, 0.015, []),
        (STEADY, 0.03, [("steal", "note")]),
        (UNSTEADY, 0.03, [("steal", "spoils")]),
        (STEADY, 0.06, [("steal", "spoils")]),
    ],
)
def test_stolen_time(throughput: tuple[float, ...], steal: float, expected: list[tuple[str, str]]) -> None:
    assert levels(make_hosted(throughput, steal_share=steal)) == expected


def test_a_quota_that_held_the_engine_back() -> None:
    record = make_hosted(UNSTEADY, throttled_share=0.05, num_throttled=7)

    (one,) = spoils(record)
    assert one.kind == "throttled"
    assert "21 times during timed passes, 0.6 s in all" in one.text
    assert levels(make_hosted(STEADY, throttled_share=0.05, num_throttled=7)) == [("throttled", "note")]


def test_short_passes_tell_nothing() -> None:
    record = make_hosted(UNSTEADY, seconds=0.3, busy_cores=8.0, foreign_cores=6.0, steal_share=0.5)

    assert disturbances(record) == []
    assert not is_host_known(record)


def test_what_isnt_told_is_no_disturbance() -> None:
    unknown = {"foreign_cores": None, "steal_share": None, "throttled_share": None, "pressure_share": None}

    assert disturbances(make_hosted(UNSTEADY, **unknown)) == []
    assert not is_host_known(make_hosted(UNSTEADY, **unknown))
    assert disturbances(make_record(0, UNSTEADY)) == []


def test_longer_passes_count_for_more() -> None:
    hosts = (make_host(seconds=9.0, foreign_cores=0.0), make_host(seconds=1.0, busy_cores=8.0, foreign_cores=6.0))
    phases = [Phase(name="pass", index=i, start_s=0.0, end_s=4.0, host=one) for i, one in enumerate(hosts)]
    record = make_record(0, (250.0, 210.0), phases=phases)

    assert disturbances(record) == []  # 0.6 of 8 cores over both


def test_only_timed_passes_count() -> None:
    busy = make_host(busy_cores=8.0, foreign_cores=6.0)
    phases = [
        Phase(name="load", start_s=0.0, end_s=9.0, host=busy),
        Phase(name="warmup", start_s=9, end_s=19, host=busy),
    ]
    phases += [Phase(name="pass", index=i, start_s=20.0, end_s=24.0, host=make_host()) for i in range(2)]
    phases.append(Phase(name="pass", index=2, start_s=24.0, end_s=28.0, host=busy))  # one that didn't end

    assert disturbances(make_record(0, (250.0, 262.0), phases=phases)) == []


def test_gpus_that_slowed_down_spoil_whatever_the_passes_say() -> None:
    record = make_gpu_record(0, [{"slowed_by": ("hardware thermal slowdown",)}, {}])

    (one,) = spoils(record)
    assert (one.kind, one.cause) == ("gpu_slowed", "GPU 0 slowed itself down")
    assert "see to its cooling and its power supply" in one.text


def test_gpu_clocks_that_differ_between_passes_spoil() -> None:
    record = make_gpu_record(0, [{"mean_sm_clock_mhz": 1500.0}, {"mean_sm_clock_mhz": 1380.0}])

    (one,) = spoils(record)
    assert one.kind == "gpu_clock"
    assert one.amount == pytest.approx(0.08)
    assert levels(make_gpu_record(0, [{"mean_sm_clock_mhz": 1500.0}, {"mean_sm_clock_mhz": 1440.0}])) == []


def test_others_on_the_card_spoil_where_the_passes_differ() -> None:
    shared = {"foreign_pids": (77,), "peak_foreign_bytes": 2**30}

    assert levels(make_gpu_record(0, [shared, shared])) == [("gpu_processes", "note")]
    assert levels(make_gpu_record(0, [shared, shared], throughput=[250.0, 262.0])) == [("gpu_processes", "spoils")]


def test_a_repeat_doesnt_mend_a_card() -> None:
    assert levels(make_gpu_record(0, [{"xids": (48,)}, {}])) == [("gpu_errors", "note")]


def test_the_power_limit_is_what_a_card_is_at_anyway() -> None:
    assert disturbances(make_gpu_record(0, [{"slowed_by": ("software power cap",)}] * 2)) == []


def test_those_that_spoil_come_first() -> None:
    record = make_hosted(STEADY, busy_cores=5.0, foreign_cores=3.0, steal_share=0.06)

    assert levels(record) == [("steal", "spoils"), ("foreign", "note")]


def test_a_single_pass_agrees_with_nothing() -> None:
    assert spread_of(make_record(0, (250.0,))) == float("inf")
    assert spread_of(make_record(0, (200.0, 250.0))) == pytest.approx(0.25)
