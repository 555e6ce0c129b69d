"""The `search` and `objective` sections: what they mean, and what is refused with which words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vbench.spec.types import SEARCH_METHODS, Objective, SearchSpec, SweepSpec

Parse = Callable[..., SweepSpec]
Refuse = Callable[..., str]
TWO = "objective: [{maximize: output_throughput_tok_s}, {minimize: p95_ttft_s}]\n"
FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")
SOONEST = Objective(metric="p95_ttft_s", direction="minimize")
FILE_OF_PROMPTS = "model: org/name\nprompts: {file: prompts.jsonl, output_tokens: 8}\n"


def test_every_key(parse: Parse) -> None:
    search = parse(
        "search:\n"
        "  method: surrogate\n"
        "  trials: 40\n"
        "  timeout: 6h\n"
        "  gpu_hours: 8\n"
        "  seed: 3\n"
        "  prune: false\n"
        "  prune_error_rate: 0.01\n"
        "  probe_prompts: 1\n"
        "  finalists: 5\n"
        "  final_rounds: 4\n"
        "  random_arm: true\n"
        "  reuse_engine: false\n"
        "  parallel_trials: 2\n"
    ).search

    assert search == SearchSpec(
        method="surrogate", trials=40, timeout_s=21600.0, gpu_hours=8, seed=3, prune=False, prune_error_rate=0.01,
        probe_prompts=1, finalists=5, final_rounds=4, random_arm=True, reuse_engine=False, parallel_trials=2,
    )  # fmt: skip


@pytest.mark.parametrize("method", SEARCH_METHODS)
def test_only_auto_prunes_and_measures_again_unasked(parse: Parse, method: str) -> None:
    search = parse(f"search: {{method: {method}}}\n").search

    assert (search.is_pruning, search.num_finalists) == ((True, 3) if method == "auto" else (False, 0))


def test_a_named_method_does_what_it_is_asked_to(parse: Parse) -> None:
    search = parse("search: {method: tpe, prune: true, finalists: 2}\n").search

    assert (search.is_pruning, search.num_finalists) == (True, 2)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("gpu_hours: 0", "search.gpu_hours: must be more than 0, got 0"),
        ("gpu_hours: -8", "search.gpu_hours: must be more than 0, got -8"),
        ("gpu_hours: 8h", "search.gpu_hours: expected a number, got '8h'"),
        ("prune: 1", "search.prune: expected true or false, got 1"),
        ("prune_error_rate: 0", "search.prune_error_rate: must be more than 0, got 0"),
        ("prune_error_rate: 0.6", "search.prune_error_rate: must be 0.5 or less, got 0.6"),
        (
            "finalists: 1",
            "search.finalists: one finalist alone has nothing to be compared with (write 0 for none, or 2 and more)",
        ),
        ("probe_prompts: -1", "search.probe_prompts: must be 0 or more, got -1"),
        ("finalists: -1", "search.finalists: must be 0 or more, got -1"),
        ("finalists: some", "search.finalists: expected a whole number, got 'some'"),
        ("final_rounds: 0", "search.final_rounds: must be 1 or more, got 0"),
        ("random_arm: maybe", "search.random_arm: expected true or false, got 'maybe'"),
        ("parallel_trials: 0", "search.parallel_trials: must be 1 or more, got 0"),
        ("reuse: true", "search.reuse: unknown key 'reuse' ("),
        ("gpu_hour: 8", "search.gpu_hour: unknown key 'gpu_hour' (did you mean gpu_hours?)"),
    ],
)
def test_a_wrong_value_is_told_with_its_line(refuse: Refuse, extra: str, expected: str) -> None:
    assert refuse(f"search:\n  {extra}\n").startswith(f"sweep.yaml:4: {expected}")


class TestProbe:
    @pytest.mark.parametrize(
        ("prompts", "probe", "most"),
        [
            ("{synthetic: {count: 16, input_tokens: 4}, output_tokens: 8}", 16, 16),
            ("{synthetic: {count: 16, input_tokens: 4}, limit: 8, output_tokens: 8}", 8, 8),
            ("{synthetic: {count: 8, input_tokens: 4}, limit: 16, output_tokens: 8}", 9, 8),
            ("{file: prompts.jsonl, limit: 8, output_tokens: 8}", 8, 8),
        ],
    )
    def test_is_fewer_than_the_prompts(
        self, refuse: Refuse, tmp_path: Path, prompts: str, probe: int, most: int
    ) -> None:
        (tmp_path / "prompts.jsonl").write_text("")
        base = f"model: org/name\nprompts: {prompts}\n"

        assert refuse(f"search: {{probe_prompts: {probe}}}\n", base=base) == (
            f"sweep.yaml:3: search.probe_prompts: must be less than the prompts, of which there are at most {most}, "
            f"got {probe} (such as {most // 8}, or leave it out)"
        )

    def test_of_one_prompt_there_is_none(self, refuse: Refuse) -> None:
        base = "model: org/name\nprompts: {synthetic: {count: 1, input_tokens: 4}, output_tokens: 8}\n"

        assert "got 1 (leave it out)" in refuse("search: {probe_prompts: 1}\n", base=base)

    def test_of_a_whole_file_is_not_known_yet(self, parse: Parse, tmp_path: Path) -> None:
        (tmp_path / "prompts.jsonl").write_text("")

        assert parse("search: {probe_prompts: 999}\n", base=FILE_OF_PROMPTS).search.probe_prompts == 999


class TestSeveralObjectives:
    def test_the_first_decides_what_is_called_the_best(self, parse: Parse) -> None:
        spec = parse(TWO)

        assert (spec.objective, spec.more_objectives) == (FASTEST, (SOONEST,))

    def test_a_list_of_one_is_one(self, parse: Parse) -> None:
        spec = parse("objective: [{minimize: p95_ttft_s}]\n")

        assert (spec.objective, spec.more_objectives) == (SOONEST, ())

    def test_are_not_pruned_by_the_first(self, parse: Parse) -> None:
        assert not parse(TWO).search.is_pruning
        assert parse(TWO).search.num_finalists == 3

    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("[{maximize: a}]", "sweep.yaml:3: objective.0: 'a' is not a metric"),
            (
                "[{maximize: output_throughput_tok_s}, {minimize: ttft_s}]",
                "sweep.yaml:3: objective.1: 'ttft_s' is not a metric (of many requests, which? p50_ttft_s",
            ),
            (
                "[{maximize: output_throughput_tok_s}, {minimise: p95_ttft_s}]",
                "sweep.yaml:3: objective.1.minimise: unknown key 'minimise' (did you mean minimize?)",
            ),
            (
                "[{maximize: output_throughput_tok_s}, p95_ttft_s]",
                "sweep.yaml:3: objective.1: expected keys and values, got 'p95_ttft_s'",
            ),
            (
                "[{minimize: p95_ttft_s}, {maximize: output_throughput_tok_s, minimize: p95_ttft_s}]",
                "sweep.yaml:3: objective.1: is one metric here",
            ),
            (
                "[{minimize: p95_ttft_s}, {maximize: p95_ttft_s}]",
                "sweep.yaml:3: objective.1: p95_ttft_s is an objective already (name each metric once",
            ),
            ("[]", "sweep.yaml:3: objective: says neither maximize nor minimize"),
            (
                "{maximize: output_throughput_tok_s, minimize: p95_ttft_s}",
                "sweep.yaml:3: objective: is one metric here (of several objectives each is an item of a list",
            ),
        ],
    )
    def test_what_is_wrong_is_told_at_its_item(self, refuse: Refuse, written: str, expected: str) -> None:
        assert refuse(f"objective: {written}\n").startswith(expected)

    def test_the_items_line_is_told(self, refuse: Refuse) -> None:
        told = refuse("objective:\n  - maximize: output_throughput_tok_s\n  - minimize: xyzzy\n")

        assert told.startswith("sweep.yaml:5: objective.1: 'xyzzy' is not a metric")

    def test_more_objectives_are_the_same_by_another_way(self, parse: Parse, refuse: Refuse) -> None:
        assert parse("more_objectives: [{minimize: p95_ttft_s}]\n").more_objectives == (SOONEST,)
        both = f"{TWO}more_objectives: [{{minimize: startup_s}}, {{minimize: p95_ttft_s}}]\n"
        assert refuse(both).startswith("sweep.yaml:4: more_objectives.1: p95_ttft_s is an objective already")
        assert "sweep.yaml:4: more_objectives: expected a list, got 7" in refuse(f"{TWO}more_objectives: 7\n")

    def test_cmaes_has_one(self, refuse: Refuse) -> None:
        assert refuse(f"{TWO}search: {{method: cmaes}}\n") == (
            "sweep.yaml:4: search.method: cmaes has one objective, and this sweep has several "
            "(use auto, nsga2, tpe or random)"
        )

    def test_pruning_by_one_of_them_is_refused(self, refuse: Refuse) -> None:
        assert "search.prune: a trial that can't catch the best of the first objective" in refuse(
            f"{TWO}search: {{prune: true}}\n"
        )

    @pytest.mark.parametrize("objective", ["{minimize: p95_ttft_s}", "{minimize: output_throughput_tok_s}"])
    def test_nothing_but_a_throughput_can_be_pruned_by(self, refuse: Refuse, parse: Parse, objective: str) -> None:
        one = f"objective: {objective}\n"
        assert "search.prune: only a throughput that is maximized" in refuse(f"{one}search: {{prune: true}}\n")
        assert parse(f"{one}search: {{method: auto, probe_prompts: 1}}\n").search.probe_prompts == 1

    def test_are_set_as_a_whole(self, parse: Parse, refuse: Refuse) -> None:
        assert parse(TWO, ["objective={minimize: startup_s}"]).more_objectives == ()
        assert "--set objective.minimize: objective holds a list in the file" in refuse(
            TWO, ["objective.minimize=startup_s"]
        )
