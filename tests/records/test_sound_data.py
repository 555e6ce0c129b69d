"""What hiding secrets must leave as it is: names of models, paths, measurements; and how long it may take."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from vbench.records.redaction import KNOWN, clean, clean_anywhere


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [*os.environ]:
        monkeypatch.delenv(name)
    KNOWN.forget()
    yield
    KNOWN.forget()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("S3_KEY", "models/Llama-3.1-8B"),
        ("MODEL_KEY", "qwen2.5-0.5b"),
        ("REGISTRY_TOKEN", "meta-llama/Llama-3.1-8B"),
        ("DATABASE_PASSWORD", "anna2024"),
        ("DATABASE_PASSWORD", "team42x"),
        ("API_KEY", "true"),
        ("KEY", "prod"),
        ("SORT_KEY", "tokens"),
    ],
)
def test_a_variable_that_names_no_secret_hides_nothing_elsewhere(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", "/home/anna2024")
    monkeypatch.setenv("PWD", "/srv/team42x/sweeps")
    text = f"model {value} of {value}/config.json"
    assert clean(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "time_per_output_token: 12.345ms", "time per token = 123.4us", "time to first token: 0.1234s",
        "forward_pass: 123.4567", "backward_pass=12.345ms", "per token: 1234567 bytes", "generated token: 1234/s",
    ],
)  # fmt: skip
def test_a_measurement_is_no_secret(text: str) -> None:
    assert clean(text) == text


def test_a_password_of_digits_still_is_one() -> None:
    assert clean("password: 12345678") == "password: ***"
    assert clean("password: 12345678abc") == "password: ***"


def test_what_the_environment_holds_changes_no_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"environment": {"PROJECT": "acme2024", "MY_PASS": "acme2024"}, "engine_args": {"a": "acme2024"}}
    before = clean_anywhere(settings)
    monkeypatch.setenv("DATABASE_PASSWORD", "acme2024")
    KNOWN.forget()
    assert clean("acme2024") == "***"
    assert clean_anywhere(settings) == before
    assert before["environment"] == {"PROJECT": "acme2024", "MY_PASS": "***"}
