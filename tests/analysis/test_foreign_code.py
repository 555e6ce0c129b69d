"""Settings that let an engine run others' code, wherever they stand."""

from __future__ import annotations

from typing import Any

import pytest

from vbench.analysis.foreign_code import foreign_code, foreign_code_note


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"trust_remote_code": True}, ("trust_remote_code",)),
        ({"trust_remote_code": "true"}, ("trust_remote_code",)),
        ({"speculative_config": {"a": [{"trust_remote_code": True}]}}, ("speculative_config.a.trust_remote_code",)),
        ({"worker_cls": "my.Worker", "scheduler_cls": None}, ("worker_cls",)),
        ({"environment": {"LD_PRELOAD": "/x.so", "A": "b"}}, ("environment.LD_PRELOAD",)),
        ({"load_format": "pt"}, ("load_format",)),
        ({"logits_processors": ["a.B"]}, ("logits_processors",)),
        ({"kv_transfer_config": {"kv_connector_module_path": "x"}}, ("kv_transfer_config.kv_connector_module_path",)),
    ],
)
def test_what_is_found(config: dict[str, Any], found: tuple[str, ...]) -> None:
    assert foreign_code({"model": "m", **config}) == found


@pytest.mark.parametrize(
    "config",
    [
        {"trust_remote_code": False}, {"trust_remote_code": None}, {"worker_cls": "auto"}, {"load_format": "dummy"},
        {"logits_processors": []}, {"environment": {"LD_PRELOAD": ""}}, {"environment": None}, {},
    ],
)  # fmt: skip
def test_what_is_not(config: dict[str, Any]) -> None:
    assert foreign_code(config) == ()
    assert foreign_code_note([config]) is None


def test_the_sentence_names_what_it_is() -> None:
    trusting, other = {"trust_remote_code": True}, {"worker_cls": "a.B"}
    assert foreign_code_note([{}, trusting, trusting]) == (
        "the engine may run code from the model's repository, as the sweep allows it: trust_remote_code"
    )
    assert foreign_code_note([trusting, other]) == (
        "the engine may run code from elsewhere, as the sweep allows it: trust_remote_code, worker_cls"
    )


def test_many_are_not_all_named() -> None:
    note = foreign_code_note({"a" * number: {"trust_remote_code": True}} for number in range(1, 200))
    assert note is not None
    assert " more" in note
    assert len(note) < 1_000
