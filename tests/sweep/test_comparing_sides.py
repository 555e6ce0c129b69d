"""Where the sides of a comparison come from, and which can't be compared."""

from __future__ import annotations

import pytest

from tests.cli.process import BASE, SMALL
from tests.sweep.comparisons import Comparisons
from tests.sweep.conftest import Recorder, Sweeps
from vbench.errors import UsageError
from vbench.outcome import Outcome
from vbench.spec.loader import parse_spec
from vbench.sweep.comparing_match import match
from vbench.sweep.comparing_session import Until
from vbench.sweep.comparing_sides import contender_of_run
from vbench.sweep.prepared import prepare
from vbench.sweep.single import single_trial
from vbench.sweep.start import run_sweep

METRIC = "output_throughput_tok_s"


@pytest.fixture
def comparing(sweep: Sweeps) -> Comparisons:
    return Comparisons(sweep.folder)


def test_sides_that_differ_in_more_than_arguments(comparing: Comparisons) -> None:
    found = comparing.of_file("sampling.temperature=0.5 environment.ONE=1", "environment.ONE=2 model=org/other")
    assert found.prepared.spec.environment == {}
    result = comparing(found, Until(most=1))
    a, b = result.records
    assert (a.config["sampling"], a.config["environment"], a.config["model"]) == (
        {"temperature": 0.5}, {"ONE": "1"}, "org/name",
    )  # fmt: skip
    assert (b.config.get("sampling"), b.config["environment"], b.config["model"]) == (None, {"ONE": "2"}, "org/other")
    assert a.outcome is b.outcome is Outcome.COMPLETED


def test_what_says_nothing_of_each_other_is_refused(comparing: Comparisons) -> None:
    with pytest.raises(UsageError, match="different prompts"):
        comparing.of_file("prompts.synthetic.count=4", "prompts.synthetic.count=5")
    with pytest.raises(UsageError, match="different prompts"):
        comparing.of_file("prompts.output_tokens=8", "prompts.output_tokens=9")
    with pytest.raises(UsageError, match="lengths"):
        comparing.of_file("max_num_seqs=1", "sampling.n=2")
    with pytest.raises(UsageError, match="no argument named max_num_seq"):
        comparing.of_file("max_num_seqs=1", "max_num_seq=2")


def test_trials_of_a_run_are_found_again(sweep: Sweeps, comparing: Comparisons) -> None:
    comparing.write(SMALL)
    own = sweep(SMALL.removeprefix(BASE))
    for record in own.records:
        one = contender_of_run(own.run, record)
        assert one.config == record.config
        assert one.title == f"small/{own.run.run_id}:{record.trial}"
    baseline, other = own.records[0], own.records[1]
    found = match(contender_of_run(own.run, baseline), contender_of_run(own.run, other))
    result = comparing(found)
    assert result.status == "finished"
    assert [one.config for one in result.records[:2]] == [baseline.config, other.config]
    assert {one.prompt_set.sha256 for one in result.records} == {baseline.prompt_set.sha256}
    measurements = [one.measurements[METRIC] for one in (baseline, other)]
    assert list(result.pairs[0]) == measurements
    with pytest.raises(UsageError, match="is a comparison"):
        contender_of_run(result.run, result.records[0])


def test_a_run_whose_prompts_or_file_moved(sweep: Sweeps, comparing: Comparisons) -> None:
    own = sweep(SMALL.removeprefix(BASE))
    own.run.prompts_jsonl.unlink()
    with pytest.raises(UsageError, match=r"prompts\.jsonl is gone"):
        contender_of_run(own.run, own.records[0])


def test_a_run_whose_sweep_does_not_give_its_record_any_more(sweep: Sweeps, comparing: Comparisons) -> None:
    own = sweep(SMALL.removeprefix(BASE))
    text = own.run.sweep_yaml.read_text().replace("engine: fake", "engine: fake\nengine_args: {dtype: float16}")
    own.run.sweep_yaml.write_text(text)
    with pytest.raises(UsageError, match=r"doesn't give the configuration of trial 1(.|\n)*--a KEY=VALUE"):
        contender_of_run(own.run, own.records[1])


def test_a_run_begun_with_set_values_and_secrets(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    values = ["environment.ONE=1", "environment.API_KEY=abc", "prompts.limit=2", "max_num_seqs=2", "block_size=64"]
    spec = single_trial(parse_spec(SMALL, sweep.folder / "small.yaml", values))
    own = run_sweep(prepare(spec), sweep.folder / "results", Recorder(), overrides=values)
    (record,) = own.records
    assert record.config["environment"] == {"ONE": "1", "API_KEY": "***"}
    with pytest.raises(UsageError, match="API_KEY, a secret that runs don't keep"):
        contender_of_run(own.run, record)
    monkeypatch.setenv("API_KEY", "abc")
    found = contender_of_run(own.run, record)
    assert found.config == {**record.config, "environment": {"ONE": "1"}}
    prompts = match(found, found).prepared.prompt_set
    assert (prompts.num_prompts, prompts.sha256) == (2, record.prompt_set.sha256)


def test_a_password_within_a_variable_is_left_to_the_environment(
    sweep: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = sweep(f'{SMALL.removeprefix(BASE)}environment: {{HTTPS_PROXY: "http://me:pa55word1@host"}}\n')
    with pytest.raises(UsageError, match="HTTPS_PROXY, a secret that runs don't keep"):
        contender_of_run(own.run, own.records[0])
    monkeypatch.setenv("HTTPS_PROXY", "http://me:pa55word1@host")
    assert "HTTPS_PROXY" not in contender_of_run(own.run, own.records[0]).spec.environment
