from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbench.errors import SpecError
from vbench.spec.dump import dump_yaml
from vbench.spec.scalars import plain_scalar
from vbench.spec.yaml_lines import parse_value, read_yaml


def problem(text: str) -> str:
    """The one thing wrong with a text."""
    try:
        document = read_yaml(text, "f.yaml")
    except SpecError as error:
        return str(error)
    return "\n".join(one.render("f.yaml") for one in document.problems)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1e5", 1e5),
        (".5", 0.5),
        ("-3", -3),
        ("15_360", 15360),
        ("0x10", 16),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("none", "none"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("1:30", "1:30"),
        ("2026-11-21", "2026-11-21"),
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
        ("1.2.3", "1.2.3"),
        ("float16", "float16"),
    ],
)
def test_a_plain_scalar_reads_as_yaml_1_2(text: str, value: object) -> None:
    read = read_yaml(f"key: {text}\n", "f.yaml").value["key"]

    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("text", ["4", "true", "null", "1e5", "010"])
def test_a_quoted_scalar_is_text(text: str) -> None:
    assert read_yaml(f"key: '{text}'\n", "f.yaml").value == {"key": text}


@pytest.mark.parametrize("text", ["1e999", ".inf", "-.INF", "nan", ".nan", "inf", "010", "9" * 30, "9" * 5000])
def test_a_number_that_is_none_names_its_line(text: str) -> None:
    assert problem(f"a: 1\nkey: {text}\n").startswith("f.yaml:2: key: ")


def test_every_key_and_item_has_its_line() -> None:
    text = "a: 1\nparameters:\n  quantization:\n    - none\n    - awq:\n        model: x\n"

    lines = read_yaml(text, "f.yaml").lines

    assert lines["a"] == 1
    assert lines["parameters.quantization.0"] == 4
    assert lines["parameters.quantization.1.awq.model"] == 6


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2\n", "f.yaml:2: a: written twice: on line 1 and on line 2 (keep one)"),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", "f.yaml:4: a.b: written twice: on line 2 and on line 4 (keep one)"),
        ("a: !!python/object/apply:os.system [ls]\n", "f.yaml:1: tags such as"),
        ("a: 1\nb: !!str 4\n", "f.yaml:2: tags such as"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: a second document begins here"),
        ("- a\n- b\n", "f.yaml:1: expected keys and values at the top of the file"),
        ("text\n", "f.yaml:1: expected keys and values"),
        ("", "f.yaml:1: the file is empty"),
        ("# only a comment\n", "f.yaml:1: the file is empty"),
        ("a: 1\nb: \0\n", "f.yaml:2: a NUL byte"),
        ('a: "\\0"\n', "f.yaml:1: a: holds a NUL"),
        ('a: "\\ud800"\n', "f.yaml:1: a: holds a NUL or half a character"),
        ('a: "\\UFFFFFFFF"\n', "f.yaml: not YAML: "),
        ("a: 1\nb: \x07\n", "f.yaml:2: a character that isn't text (U+0007)"),
        ("a:\n\tb: 1\n", "f.yaml:2: a tab in the indentation (YAML wants spaces)"),
        ("a: 1\nb:\tc\n", "f.yaml:2: a character that can't start a value"),
        ("a: b: c\n", "f.yaml:1: a colon is out of place"),
        ("a: 1\n b: 2\n", "f.yaml:2: "),
        ("a: [1, 2\n", "f.yaml:"),
        ("a: 1\nb: 'open\nc: 2\n", "f.yaml:2: a quote or bracket is never closed"),
        ("a: *nowhere\n", "f.yaml:1: not YAML: found undefined alias"),
        ("base: &b {x: 1}\na:\n  <<: *b\n", "f.yaml:3: a: merge keys (<<) are not supported"),
        ("? [a]\n: 1\n", "f.yaml:1: a key must be a word"),
        ('a: 1\n"": 2\n', "f.yaml:2: a key without a name"),
        ('"a\\nb": 1\n', "f.yaml:1: a key with unprintable characters"),
        ("a: &a [*a]\n", "f.yaml:1: aliases that unfold into more than a file can hold"),
        ("a: " + "[" * 60 + "]" * 60 + "\n", "f.yaml:1: nested more than 40 levels deep"),
        ("a: " + "[" * 5000 + "\n", "f.yaml:"),
    ],
)
def test_what_is_not_allowed_is_named_with_its_line(text: str, expected: str) -> None:
    assert problem(text).startswith(expected)


def test_aliases_that_explode_are_refused_quickly() -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 12)]

    assert "aliases that unfold" in problem("\n".join(lines))


def test_an_alias_within_bounds_is_copied() -> None:
    value = read_yaml("a: &a [1, 2]\nb: *a\n", "f.yaml").value

    assert value == {"a": [1, 2], "b": [1, 2]}
    assert value["a"] is not value["b"]


def test_keys_are_text_as_written() -> None:
    assert read_yaml("4: a\ntrue: b\n", "f.yaml").value == {"4": "a", "true": "b"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("4", 4), ("[a, 1]", ["a", 1]), ("{low: 1, high: 2}", {"low": 1, "high": 2}), ("'4'", "4"), ("a: b", "a: b")],
)
def test_a_value_of_the_command_line(text: str, value: object) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize("text", ["[1", "010", "{a: 1, a: 2}", "a\0", '"\\0"', "[" * 99])
def test_a_value_that_cannot_be_read_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_value(text)


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n\t :#-[]{}'\"&*!"), max_size=20)
PLAIN = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    PLAIN | TEXT | st.sampled_from(["1e5", "010", "09", "nan", ".5e3", "0o17", "yes", "1:30", "2026-01-01", "<<"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.from_regex(r"[a-z0-9_]+", fullmatch=True), inner),
    max_leaves=12,
)


@given(value=VALUES)
def test_what_is_dumped_is_read_back(value: Any) -> None:
    document = read_yaml(dump_yaml({"key": value}), "f.yaml")

    assert document.problems == ()
    assert document.value == {"key": value}


@given(text=st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    problem(text)


@given(text=st.text(max_size=20))
def test_a_plain_scalar_is_a_value_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(plain_scalar(text), (str, int, float, bool, type(None)))
