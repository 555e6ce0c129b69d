"""`emulate:` in a sweep file and on the command line: what it may hold, and that it makes another sweep."""

from __future__ import annotations

import pytest

from tests.spec.conftest import Parse, Refuse
from vbench.spec.digest import spec_digest
from vbench.spec.types import Emulation


def test_a_card_and_a_share_of_this_one(parse: Parse) -> None:
    spec = parse("emulate: {profile: t4, memory_fraction: 0.625}\n")

    assert spec.emulate == Emulation(profile="t4", memory_fraction=0.625)


def test_the_share_may_be_left_out(parse: Parse) -> None:
    assert parse("emulate: {profile: t4}\n").emulate == Emulation(profile="t4")
    assert parse().emulate is None


def test_the_command_line_replaces_the_whole_of_it(parse: Parse) -> None:
    spec = parse("emulate: {profile: l4, memory_fraction: 0.5}\n", ["emulate={profile: t4}"])

    assert spec.emulate == Emulation(profile="t4")


def test_it_is_part_of_the_digest(parse: Parse) -> None:
    texts = [
        "",
        "emulate: {profile: t4}\n",
        "emulate: {profile: l4}\n",
        "emulate: {profile: t4, memory_fraction: 0.5}\n",
    ]

    assert len({spec_digest(parse(text)) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("emulate: t4", "emulate: expected keys and values, got 't4' (write {profile: t4})"),
        ("emulate: {memory_fraction: 0.5}", "emulate.profile: is missing"),
        ("emulate: {profile: t4, memory_fraction: 0}", "emulate.memory_fraction: must be more than 0, got 0"),
        ("emulate: {profile: t4, memory_fraction: 1.5}", "emulate.memory_fraction: must be 1 or less, got 1.5"),
        ("emulate: {profile: t4, memory_fraction: half}", "emulate.memory_fraction: expected a number, got 'half'"),
        ("emulate: {profile: 4}", "emulate.profile: expected text, got 4"),
        ("emulate: {profil: t4}", "emulate.profil: unknown key 'profil' (did you mean profile?)"),
    ],
)
def test_a_fault_is_told_in_plain_words(refuse: Refuse, text: str, expected: str) -> None:
    assert expected in refuse(f"{text}\n")
