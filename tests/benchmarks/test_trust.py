"""The trust benchmarks: what they compute of what they saw, the words they give vLLM's tools, and one small run."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from benchmarks.trust import aa, contamination, parity_serve, parity_throughput, power, quality, sampler
from benchmarks.trust.comparisons import Asked, compare, share_interval
from benchmarks.trust.contamination import Seen
from benchmarks.trust.engine import Engine, demo_prompts
from benchmarks.trust.every import PARTS
from benchmarks.trust.pages import as_dict, finish, in_words, table
from benchmarks.trust.vllm_tools import (
    SEED,
    arrivals_of,
    engine_words,
    serve_words,
    throughput_result,
    throughput_words,
    write_sharegpt,
)
from tests.records.builders import make_record
from vbench.analysis.paired import Ratio, ratio_of_pairs
from vbench.errors import MachineError
from vbench.execution.interpreters import find_interpreter
from vbench.execution.memory import ProcessTreeMemory
from vbench.metrics import distribution
from vbench.records.record import Quality, TrialRecord
from vbench.spec.loader import parse_spec
from vbench.worker.engines.base import PassResult

EVEN = [(100.0 + index, 2 * (100.0 + index)) for index in range(8)]


def ratio(value: float, half: float, pairs: int = 8) -> Ratio:
    return Ratio(
        ratio=value, low=value - half, high=value + half, num_pairs=pairs, method="signed_rank", detectable=None
    )


def test_an_aa_counts_the_calls_and_says_how_sure_their_share_is() -> None:
    found = [ratio(1.0, 0.01)] * 38 + [ratio(1.02, 0.01, 12), ratio(0.97, 0.01, 12)]
    counted = aa.figures(found)
    assert (counted["comparisons"], counted["called"], counted["share"]) == (40, 2, 0.05)
    assert counted["low"] < 0.05 < counted["high"]
    text = "\n".join(aa.page(found, counted, "command", Asked()))
    assert "| 12 | 2 | 2 |" in text
    assert "furthest from 1 was 0.970" in text


@pytest.mark.parametrize(("count", "total"), [(10, 200), (0, 40), (40, 40), (36, 40), (1, 1)])
def test_a_share_has_wilsons_interval(count: int, total: int) -> None:
    theirs = binomtest(count, total).proportion_ci(method="wilson")
    assert share_interval(count, total) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_power_counts_only_what_is_found_to_be_slower() -> None:
    found = {0.03: [ratio(0.97, 0.01)] * 3 + [ratio(1.03, 0.01), ratio(0.99, 0.02)]}
    counted = power.figures(found)["slower_3"]
    assert (counted["runs"], counted["found"], counted["share"]) == (5, 3, 0.6)


def test_parity_keeps_the_ways_of_starting_apart() -> None:
    rows: list[parity_throughput.Row] = [("fork", a, b) for a, b in EVEN] + [("cold", 100.0, 50.0)]
    found = parity_throughput.figures([*rows, ("same", 100.0, 300.0)])
    assert (found["ratio"], found["pairs"]) == (3.0, 1)
    assert (found["forked"]["ratio"], found["forked"]["pairs"]) == (2.0, 8)
    assert (found["cold"]["ratio"], found["cold"]["pairs"]) == (0.5, 1)
    assert sampler.figures(EVEN)["ratio"] == 2.0


def test_both_clients_of_a_server_are_read_by_the_same_definitions() -> None:
    """One stream of events, told in both tools' words: every compared figure is the same."""
    starts, ttfts = [10.0, 10.5], [0.2, 0.3]
    gaps = [[0.01, 0.03, 0.02], [0.04, 0.02, 0.06]]
    ours = PassResult(input_tokens=[5, 5], token_ids=[[1, 2, 3, 4], [5, 6, 7, 8]])
    ours.ttft_s, ours.itl_s, ours.send_s = list(ttfts), gaps, [0.0, 0.5]
    ours.tpot_s = [sum(one) / 3 for one in gaps]
    saved: dict[str, Any] = {
        "start_times": starts, "itls": gaps, "output_throughput": 8 / 2.0, "total_output_tokens": 8,
    }  # fmt: skip
    columns = {"ttft": ttfts, "tpot": [0.02, 0.04], "itl": [gap for one in gaps for gap in one]}
    for name, column in columns.items():
        summary = distribution(column)
        assert summary is not None
        saved |= {f"median_{name}_ms": 1000 * summary["p50"], f"mean_{name}_ms": 1000 * summary["mean"]}
    theirs, mine = parity_serve.seen_by_vllm(saved), parity_serve.seen_by_vbench(ours, 2.0)
    assert mine == pytest.approx(theirs)
    found = parity_serve.figures({"poisson": [(theirs, mine)] * 6})["poisson"]
    assert {found[name]["ratio"] for name in parity_serve.COMPARED} == {1.0}


def test_contamination_compares_with_the_cold_pass_and_with_no_cache() -> None:
    one = {
        "kept": Seen(first=100.0, timed=300.0, hit_rate=0.8, warning="pass 1 found 80% in the prefix cache"),
        "off": Seen(first=101.0, timed=110.0, hit_rate=0.0, warning=None),
        "reset": Seen(first=99.0, timed=110.0, hit_rate=0.0, warning=None),
    }
    found = contamination.figures([one] * 6)
    assert found["kept_to_cold"]["ratio"] == 3.0
    assert found["off_first_to_cold"]["ratio"] == 1.01
    assert found["reset_to_off"]["ratio"] == 1.0
    assert (found["kept_flagged"], found["off_flagged"], found["kept_hit_rate"]) == (6, 0, 0.8)
    assert "80% in the prefix cache" in contamination.page([one] * 6, found, "command", 4)[-1]


def test_the_sweeps_of_the_benchmarks_are_sweeps(tmp_path: Path, tiny_model: Path) -> None:
    kept, reset = (contamination.sweep(ways, [0, 1], 4) for ways in (("kept", "off"), ("reset",)))
    assert not kept.measure.reset_prefix_cache
    assert reset.measure.reset_prefix_cache
    assert [parameter.name for parameter in kept.parameters] == ["seed", "enable_prefix_caching"]
    (tmp_path / "prompts").mkdir()
    prompts = quality.prompts_file(tmp_path / "prompts")
    text = quality.sweep_file(prompts, 8, 2).replace(str(quality.MODELS), str(tiny_model))  # which is made here
    spec = parse_spec(text, tmp_path / "quality.yaml")
    assert (spec.quality.when, spec.quality.max_nll_increase) == ("always", quality.BOUND)
    assert len(prompts.read_text().splitlines()) == quality.NUM_TEXTS


def test_quality_names_the_fastest_with_and_without_the_bound() -> None:
    def record(trial: int, tok_s: float, increase: float, **parameters: str) -> TrialRecord:
        one = Quality(
            texts_sha256="0", nll=[2.0 * (1 + increase)], tokens=[2], greedy=[], duration_s=1.0,
            nll_increase=increase, greedy_agreement=1.0,
        )  # fmt: skip
        broken = {"nll_increase <= 0.02": increase - quality.BOUND}
        made = make_record(trial, [tok_s] * 3, parameters=parameters)
        return made.model_copy(update={"quality": one, "constraint_violations": broken})

    records = [
        record(0, 100.0, 0.0),
        record(1, 300.0, 0.05, quantization="awq", speculative_config="none"),
        record(2, 200.0, 0.0, quantization="none", speculative_config="ngram"),
    ]
    found = quality.figures(records)
    assert (found["best_without_bound"], found["best_with_bound"]) == ("awq", "base + ngram")
    assert [one["keeps_bound"] for one in found["configurations"].values()] == [True, False, True]
    text = "\n".join(quality.page(found, "command", 8))
    assert "| awq | 1.0500 | +5.00% (+5.00% to +5.00%) | 100.0% | no | 300 | 1.0 |" in text


def test_vllms_dataset_gives_the_prompts_in_our_order(tmp_path: Path) -> None:
    """It shuffles the file's entries with its seed, which is what the file is written against."""
    prompts = [f"prompt {index}" for index in range(20)]
    write_sharegpt(prompts, tmp_path / "sharegpt.json")
    entries = json.loads((tmp_path / "sharegpt.json").read_text())
    random.seed(SEED)
    random.shuffle(entries)
    assert [one["conversations"][0]["value"] for one in entries] == prompts


def test_vllms_arrivals_end_at_the_rate_and_differ_by_seed() -> None:
    load: Mapping[str, Any] = {"request_rate": 5.0, "max_concurrency": None, "seed": 3}
    times = arrivals_of(20, load)
    assert times is not None
    assert times == sorted(times)
    assert times[-1] == pytest.approx(4.0)
    assert times == arrivals_of(20, load) != arrivals_of(20, {**load, "seed": 4})
    assert arrivals_of(20, {**load, "request_rate": "inf"}) is None


def test_the_words_of_vllms_tools(tmp_path: Path) -> None:
    words = engine_words({"enforce_eager": True, "enable_prefix_caching": False, "max_model_len": 64})
    assert words == ["--enforce-eager", "--no-enable-prefix-caching", "--max-model-len", "64"]
    whole = throughput_words(tmp_path, tmp_path / "d", 4, 8, {}, tmp_path / "r")
    assert whole[whole.index("--num-warmups") + 1] == whole[whole.index("--num-prompts") + 1] == "4"
    load = {"request_rate": "inf", "max_concurrency": 2, "seed": 1}
    assert serve_words(tmp_path, tmp_path, 4, 8, 80, "key", tmp_path / "r.json", load)[-2:] == [
        "--max-concurrency",
        "2",
    ]


def test_a_throughput_is_by_their_seconds_and_the_tokens_they_counted(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps({"elapsed_time": 2.0, "total_num_tokens": 1100}))
    (tmp_path / "log").write_text("Total num prompt tokens:  1000\nTotal num output tokens:  100\n")
    found = throughput_result(tmp_path / "r.json", tmp_path / "log")
    assert found == {"tok_s": 50.0, "prompt_tokens": 1000, "output_tokens": 100}


def test_a_page_ends_with_its_figures(tmp_path: Path) -> None:
    said: list[str] = []
    found = as_dict(ratio_of_pairs(EVEN), len(EVEN))
    finish(tmp_path / "page.md", [in_words(found), *table(("a", "b"), [(1, 2)])], found, said.append)
    assert (tmp_path / "page.md").read_text() == "2.000 (2.000 to 2.000)\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    assert json.loads(said[-1]) == {"ratio": 2.0, "low": 2.0, "high": 2.0, "pairs": 8}


def test_every_part_is_a_module_with_a_table_of_its_own() -> None:
    names = [name for name, *_ in PARTS]
    assert names == ["parity_throughput", "parity_serve", "aa", "sampler", "contamination"]
    assert all((Path(aa.__file__).parent / f"{name}.py").is_file() for name in names)


def test_trials_on_a_kept_engine_and_on_fresh_ones(tmp_path: Path) -> None:
    """A comparison by the tool's loop. The fake engine's clock is its own: a slowness of half is exactly that."""
    prompts = [{"prompt_token_ids": [1, 2, 3]}]
    with Engine(tmp_path, tmp_path, prompts, 4, engine="fake", engine_args={"noise": 0.0}) as engine:
        first, second = engine.again(passes=2), engine.again(passes=1)
        assert [one.kind for one in first.passes] == ["warmup", "timed", "timed"]
        assert [one.kind for one in second.passes] == ["timed"]
        assert second.timed == [second.tok_s]
        found = compare(engine, Asked(detect=0.1), slow_share=0.5)
        assert found.num_pairs == 8
        assert found.ratio == pytest.approx(1 / 1.5)
        engine.let_go()
        fresh = engine.fresh(source_for=ProcessTreeMemory)
        assert [one.kind for one in fresh.passes] == ["warmup", "timed"]


@pytest.mark.engine
@pytest.mark.slow
def test_vllms_throughput_beside_ours(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair of the real thing: both had the same work, or it raises."""
    try:
        find_interpreter(None, "vllm")
    except MachineError as error:
        pytest.skip(str(error))
    monkeypatch.setattr(parity_throughput, "MODEL", tiny_model / "base")
    (rows, sides), found = parity_throughput.measure(same_pairs=2, pairs=1, cold_pairs=0, num_prompts=2, num_tokens=4)
    assert [how for how, *_ in rows] == ["same", "same", "fork"]
    assert (found["pairs"], found["forked"]["pairs"]) == (2, 1)
    assert sides.prompt_tokens > 2


def test_demo_prompts_say_when_there_are_too_few() -> None:
    assert len(demo_prompts(3)) == 3
    with pytest.raises(SystemExit, match="32 prompts, not 33"):
        demo_prompts(33)
