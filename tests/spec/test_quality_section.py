"""The `quality` section: which trials are checked, and what it needs of the rest of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vbench.spec.loader import spec_digest
from vbench.spec.quality_section import checks_quality, quality_bounds
from vbench.spec.types import SweepSpec

Parse = Callable[..., SweepSpec]
Refuse = Callable[..., str]
SEARCHED = "parameters: {max_num_seqs: [1, 2]}\nbaseline: {}\n"
FINALS = f"{SEARCHED}search: {{finalists: 3}}\n"
GRID = f"{SEARCHED}search: {{method: grid}}\n"


class TestWhen:
    @pytest.mark.parametrize(
        ("text", "when"),
        [
            (FINALS, "finalists"),
            (GRID, "never"),
            ("", "never"),
            (f"{GRID}quality: {{max_nll_increase: 2%}}\n", "always"),
            (f"{FINALS}quality: {{max_nll_increase: 2%}}\n", "finalists"),
            (f"{FINALS}quality: {{when: always}}\n", "always"),
            (f"{FINALS}quality: {{when: never}}\n", "never"),
            (f"{FINALS}constraints: [nll_increase <= 0.02]\n", "always"),
            (f"{FINALS}objective: {{minimize: nll_per_token}}\n", "always"),
        ],
    )
    def test_who_is_checked(self, parse: Parse, text: str, when: str) -> None:
        assert checks_quality(parse(text)) == when


class TestBounds:
    def test_are_constraints_with_shares(self, parse: Parse) -> None:
        spec = parse(f"{FINALS}quality: {{max_nll_increase: 2%, min_greedy_agreement: 0.99}}\n")

        assert [(one.text, one.quantity, one.bound) for one in quality_bounds(spec)] == [
            ("nll_increase <= 0.02", "nll_increase", 0.02),
            ("greedy_agreement >= 0.99", "greedy_agreement", 0.99),
        ]

    def test_there_are_none_without(self, parse: Parse) -> None:
        assert quality_bounds(parse(FINALS)) == []


class TestTexts:
    def test_a_file_counts_from_the_sweeps_folder(self, parse: Parse, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("a text\n")

        assert parse("quality: {when: always, texts: mine.txt}\n").quality.texts == tmp_path / "mine.txt"

    def test_another_file_is_another_sweep(self, parse: Parse, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("a text\n")

        assert spec_digest(parse("quality: {texts: mine.txt}\n")) != spec_digest(parse(""))
        assert spec_digest(parse("quality: {num_texts: 32}\n")) == spec_digest(parse(""))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("quality: {when: allways}\n", "sweep.yaml:3: quality.when: expected one of never, finalists, always"),
        ("quality: {max_nll: 2%}\n", "sweep.yaml:3: quality.max_nll: unknown key 'max_nll' (did you mean max_nll_inc"),
        ("quality: {max_nll_increase: 2 %%}\n", "quality.max_nll_increase: expected a share, got '2 %%'"),
        ("quality: {num_texts: 0}\n", "quality.num_texts: must be 1 or more, got 0"),
        ("quality: {texts: none.txt}\n", "sweep.yaml:3: quality.texts: no such file"),
        ("quality: {texts: bad.jsonl}\n", "bad.jsonl:2: lacks a `text`"),
        (f"{GRID}quality: {{when: finalists}}\n", "sweep.yaml:6: quality.when: the search has no finals"),
        (f"{GRID}quality: {{when: never, max_nll_increase: 1%}}\n", "a bound is set, and never looked at"),
        (f"{FINALS}quality: {{when: finalists}}\nconstraints: [nll_increase < 0.1]\n", "needs nll_increase of every"),
        ("quality: {max_nll_increase: 2%}\n", "quality.max_nll_increase: there is no reference to compare with (add"),
        ("objective: {minimize: nll_increase}\n", "objective: there is no reference to compare with"),
        (f"{GRID}quality: {{greedy_prompts: 0, min_greedy_agreement: 1}}\n", "no prompt is answered greedily"),
    ],
)
def test_what_is_refused(refuse: Refuse, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n{"texts": "b"}\n')

    assert said in refuse(text)
