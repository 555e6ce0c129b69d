"""The arithmetic of a card's memory on another, with the figures of a T4 and an RTX 3090."""

from __future__ import annotations

import pytest

from vbench.emulation.scale import balloon_bytes, emulated_share, scaled_utilization
from vbench.hardware.profile import load_profile

MIB = 1024**2
T4 = load_profile("t4").visible_bytes or 0
RTX3090 = load_profile("rtx3090").visible_bytes or 0


def test_a_t4s_utilization_on_a_3090() -> None:
    assert scaled_utilization(0.9, T4, RTX3090) == pytest.approx(0.556, abs=0.0005)


def test_scaling_never_asks_for_more_than_the_card() -> None:
    for percent in range(1, 101):
        assert scaled_utilization(percent / 100, T4, RTX3090) * RTX3090 <= percent / 100 * T4


def test_without_a_fraction_the_profile_holds() -> None:
    share = emulated_share(T4, RTX3090, None, "t4")
    assert (share.bytes, share.notes) == (T4, ())


def test_the_ratio_of_nvml_totals_is_too_much_and_the_profile_holds() -> None:
    share = emulated_share(T4, RTX3090, 0.625, "t4")
    assert share.bytes == T4
    assert share.notes == (
        "memory_fraction 0.625 of 23.56 GiB is 14.72 GiB, and t4 has 14.56 GiB (+1.1%): the profile's is used, "
        "the smaller",
    )


def test_a_smaller_fraction_holds() -> None:
    share = emulated_share(T4, RTX3090, 0.5, "t4")
    assert share.bytes == RTX3090 // 2
    assert "memory_fraction's is used" in share.notes[0]


def test_within_a_hundredth_nothing_is_said() -> None:
    share = emulated_share(T4, RTX3090, 0.62, "t4")
    assert (share.bytes, share.notes) == (T4, ())


def test_the_balloon_is_the_difference() -> None:
    assert balloon_bytes(T4, RTX3090) == pytest.approx(9216 * MIB, rel=0.01)
    assert balloon_bytes(RTX3090, T4) == 0
