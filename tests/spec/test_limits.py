"""What no file can take: time, memory, a screen full of errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.spec.conftest import BASE, Parse, Refuse
from vbench.errors import Problem, SpecError
from vbench.search.make import method_of, planned_trials
from vbench.spec.constraints import metric_bounded_by
from vbench.spec.fields import variable_problem
from vbench.spec.problems import MAX_PROBLEMS, Problems
from vbench.spec.space import count_points, enumerate_points
from vbench.spec.stored import stored_parameters
from vbench.spec.suggest import closest
from vbench.spec.sweep_text import names_in, read_plain
from vbench.spec.types import Parameter, Range
from vbench.spec.yaml_lines import MAX_NODES, read_yaml

WIDE = Range(low=0, high=999_999)


def test_a_large_space_is_counted_and_walked_without_its_values() -> None:
    parameters = [Parameter(name=f"p{n}", domain=WIDE) for n in range(3000)]

    assert WIDE.num_values == 1_000_000
    assert count_points(parameters) is None
    points = enumerate_points(parameters)
    assert [next(points).settings["p2999"] for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("domain", "count"),
    [
        (Range(low=2, high=5), 4),
        (Range(low=1, high=10, step=4), 3),
        (Range(low=0.8, high=0.95, step=0.05), 4),
        (Range(low=0.5, high=1.0), None),
    ],
)
def test_a_range_knows_its_values_by_their_place(domain: Range, count: int | None) -> None:
    assert domain.num_values == count
    assert domain.values() == (None if count is None else [domain.value(index) for index in range(count)])


def test_a_space_up_to_the_limit_is_counted() -> None:
    two = [Parameter(name=name, domain=Range(low=1, high=1000)) for name in "ab"]

    assert count_points(two) == 1_000_000
    assert count_points(two, limit=999_999) is None


def test_a_sweep_of_many_wide_ranges_has_its_method_at_once(parse: Parse) -> None:
    spec = parse("parameters:\n" + "".join(f"  p{n}: {{low: 0, high: 999999}}\n" for n in range(2000)))

    assert method_of(spec) == "surrogate"
    assert planned_trials(spec) == 30


def test_problems_beyond_what_anybody_reads_end_the_reading() -> None:
    problems = Problems({}, source="f.yaml")
    for number in range(MAX_PROBLEMS - 1):
        problems.add(f"k{number}", "is wrong")
    with pytest.raises(SpecError) as caught:
        problems.add("k", "is wrong")

    assert len(caught.value.problems) == MAX_PROBLEMS
    assert str(caught.value).splitlines()[-1] == f"f.yaml: and {MAX_PROBLEMS - 50} problems more"


def test_the_same_problem_told_again_is_one() -> None:
    problems = Problems({})
    for _ in range(MAX_PROBLEMS + 5):
        problems.add("k", "is wrong")

    assert len(problems.found) == 1


def test_a_long_problem_is_cut() -> None:
    said = Problem(message="m" * 5000, key="k" * 5000, hint="h" * 5000).render("f")

    assert len(said) < 3100
    assert said.startswith(f"f: {'k' * 1000}…: mmm")


def test_a_stored_file_of_nothing_but_mistakes_has_no_parameters() -> None:
    text = "parameters:\n" + "".join(f"  p{n}: 1\n" for n in range(MAX_PROBLEMS + 5))

    assert stored_parameters(text) == ()


def test_nothing_is_near_to_what_is_no_name() -> None:
    assert closest("max_num_seqs" * 9, ["max_num_seqs"]) is None
    assert closest("max_num_seq", ["x" * 500_000, "max_num_seqs"]) == "max_num_seqs"


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ("peak_memory_mib <= 1", "peak_memory_bytes"),
        ("x <= 1", None),
        ("x", None),
        ("nll_increase <= 1" + "0" * 300, None),
    ],
)
def test_the_metric_of_a_constraint(text: str, metric: str | None) -> None:
    assert metric_bounded_by(text) == metric


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("OMP_NUM_THREADS", None),
        ("VBENCH_RUN", "VBENCH_RUN is what vbench knows its own processes by"),
        ("VBENCH_RESULTS", None),
        ("1A", "'1A' is not the name of an environment variable"),
    ],
)
def test_the_name_of_a_variable(name: str, said: str | None) -> None:
    assert variable_problem(name) == said


def test_a_range_within_an_option_is_checked_like_its_values(refuse: Refuse) -> None:
    """`config.effective_config` once met a number where it needs adapters by name."""
    said = refuse("parameters: {x: [{a: {lora_modules: {low: 1, high: 4}}}]}\n")

    assert "parameters.x.0.a.lora_modules: expected adapter folders by name, got 1" in said


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_those_that_an_editor_shows(end: str) -> None:
    assert read_yaml(f"a: 1{end}b:{end}  c: 2{end}", "f").lines == {"a": 1, "b": 2, "b.c": 3}


def test_as_many_values_as_allowed_are_read() -> None:
    items = MAX_NODES - 3

    assert len(read_yaml(f"a: [{'1, ' * items}]\n", "f").value["a"]) == items
    with pytest.raises(SpecError, match="more than 20,000 keys and values"):
        read_yaml(f"a: [{'1, ' * (items + 1)}]\n", "f")


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="a pipe or a device"):
        read_plain(tmp_path / "pipe", 10)
    with pytest.raises(IsADirectoryError):
        read_plain(tmp_path, 10)
    (tmp_path / "file").write_bytes(b"abc")
    assert read_plain(tmp_path / "file", 2) == b"ab"


def test_what_a_folder_holds_where_it_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    (tmp_path / "a").touch()

    assert names_in(tmp_path) == ["a", "b"]
    assert names_in(tmp_path / "none") == []
    assert names_in(tmp_path / ("x" * 300)) == []


def test_a_shared_prefix_of_no_tokens_may_have_no_groups_without_end(refuse: Refuse) -> None:
    synthetic = "{count: 1, input_tokens: 1, shared_prefix_share: 0.5, num_prefixes: 4611686018427387904}"
    base = BASE.replace("{count: 2, input_tokens: 4}", synthetic)

    assert "num_prefixes: must be 1,000,000 or less" in refuse(base=base)
