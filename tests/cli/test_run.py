"""`vbench run`: one configuration, told in full."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.process import BASE, SMALL, Vbench, records_of, run_facts

CHOICES = """\
parameters:
  max_num_seqs: {low: 2, high: 8}
  quantization: [awq, none]
"""


def run(vbench: Vbench, text: str, *words: str, code: int = 0) -> dict[str, Any]:
    """The record that `run --json` prints as its last line."""
    done = vbench("run", vbench.write(text), "--json", *words, check=code)
    record: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return record


def test_it_takes_the_baseline(vbench: Vbench) -> None:
    record = run(vbench, f"{BASE}{CHOICES}baseline: {{max_num_seqs: 5, quantization: none}}\n")
    assert record["config"] == {
        "engine": "fake", "model": "org/name", "max_num_seqs": 5, "enable_prefix_caching": False
    }  # fmt: skip
    assert record["origin"] == "run"


def test_without_a_baseline_it_takes_the_first_of_each(vbench: Vbench) -> None:
    config = run(vbench, BASE + CHOICES)["config"]
    assert (config["max_num_seqs"], config["quantization"]) == (2, "awq")


@pytest.mark.parametrize(
    ("words", "path", "value"),
    [
        ("max_num_seqs=3", "config.max_num_seqs", 3),
        ("engine_args.block_size=64", "config.block_size", 64),
        ("prompts.synthetic.count=2", "prompt_set.num_prompts", 2),
        ("prompts.output_tokens=3", "prompt_set.output_tokens", 3),
        ("worker_start=cold", "environment.worker_start", "cold"),
    ],
)
def test_set_changes_the_file_for_this_call(vbench: Vbench, words: str, path: str, value: object) -> None:
    record: Any = run(vbench, BASE + CHOICES, "--set", words)
    for key in path.split("."):
        record = record[key]
    assert record == value


def test_what_was_set_is_kept_with_the_run_and_no_secret(vbench: Vbench) -> None:
    run(vbench, BASE, "--set", "max_num_seqs=3", "--set", "environment.HF_TOKEN=hf_abc")
    folder = vbench.run("small-run")
    assert run_facts(folder)["overrides"] == ["max_num_seqs=3", "environment.HF_TOKEN=***"]
    assert not any("hf_abc" in path.read_text() for path in folder.rglob("*") if path.is_file())


def test_search_keys_change_nothing(vbench: Vbench) -> None:
    record = run(vbench, BASE + CHOICES, "--set", "search.trials=7", "--set", "search.seed=2")
    assert records_of(vbench.run("small-run")) == [record]


def test_it_prints_the_settings_the_phases_and_the_record(vbench: Vbench) -> None:
    output = vbench("run", vbench.write(SMALL), "--set", "block_size=64", check=0).stdout
    assert "settings: block_size=64 enable_prefix_caching=false" in output
    for words in ("loading the model", "timed pass 2:", "Trial 0: completed", "Output throughput", "trials.jsonl"):
        assert words in output
    assert "\x1b" not in output


@pytest.mark.parametrize(("fail", "says"), [("oom", "lower gpu_memory_utilization"), ("exit", "exit code 7")])
def test_a_failed_trial_is_exit_code_1_with_its_reason(vbench: Vbench, fail: str, says: str) -> None:
    done = vbench("run", vbench.write(BASE), "--set", f"fail={fail}", check=1)
    assert says in " ".join(done.stdout.split())


def test_constraints_are_judged_and_not_obeyed(vbench: Vbench) -> None:
    text = f"{BASE}{CHOICES}constraints: [max_num_seqs >= 4]\n"
    record = run(vbench, text, "--set", "max_num_seqs=2")
    assert record["outcome"] == "completed"
    assert record["constraint_violations"] == {"max_num_seqs >= 4": 0.5}  # 2 of 4 missing


def test_it_leaves_the_sweep_itself_alone(vbench: Vbench) -> None:
    path = vbench.write(SMALL)
    vbench("sweep", path, "--trials", "1", check=0)
    vbench("run", path, check=0)
    vbench("run", path, check=0)
    vbench("sweep", path, "--trials", "2", check=0)
    assert len(records_of(vbench.run())) == 2
    assert len(vbench.runs("small-run")) == 2


def test_settings_of_sections_go_into_them(vbench: Vbench) -> None:
    text = (
        f"{BASE}mode: async\nload: {{request_rate: 100}}\n"
        "parameters: {load.max_concurrency: [4, 2], environment.A: {low: 7, high: 9}, sampling.n: [2, 3]}\n"
    )
    record = run(vbench, text)

    assert record["outcome"] == "completed"
    assert record["config"] == {
        "engine": "fake", "model": "org/name", "mode": "async", "enable_prefix_caching": False,
        "load": {"request_rate": 100.0, "max_concurrency": 4}, "environment": {"A": "7"}, "sampling": {"n": 2},
    }  # fmt: skip


def test_the_interpreter_that_an_option_names_is_the_one_that_runs(vbench: Vbench) -> None:
    done = vbench("run", vbench.write(f"{BASE}parameters: {{dtype: [half: {{python: ./nowhere/python}}]}}\n"))

    assert done.returncode != 0
    assert "nowhere/python" in done.stderr


def test_secrets_of_the_file_are_in_nothing_that_is_shown(vbench: Vbench) -> None:
    text = f"{BASE}environment: {{HF_TOKEN: hf_abc, A: b}}\nparameters:\n  environment.API_KEY: [key_abc]\n"
    run(vbench, text.replace("parameters:\n  environment.API_KEY: [key_abc]\n", ""))
    folder = vbench.run("small-run")
    (folder / "sweep.yaml").write_text(text)  # as an earlier vbench stored it
    vbench("report", check=0)

    shown = [path for path in (vbench.folder / "reports").rglob("*") if path.suffix in (".html", ".md")]
    assert len(shown) == 2
    for path in shown:
        assert "hf_abc" not in path.read_text()
        assert "key_abc" not in path.read_text()
        assert "HF_TOKEN" in path.read_text()


def test_the_stored_sweep_file_has_no_secret(vbench: Vbench) -> None:
    run(vbench, f"{BASE}environment:\n  HF_TOKEN: hf_abc\n  A: b\n")

    folder = vbench.run("small-run")
    assert (folder / "sweep.yaml").read_text().endswith('environment:\n  HF_TOKEN: "***"\n  A: b\n')
    assert not any("hf_abc" in path.read_text() for path in folder.rglob("*") if path.is_file())
