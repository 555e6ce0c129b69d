from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vbench.errors import EXIT_USAGE, SpecError, UsageError
from vbench.spec.loader import load_spec
from vbench.spec.types import Deadlines, MeasureSpec, Objective, SearchSpec, SweepSpec, SyntheticPrompts

Parse = Callable[..., SweepSpec]
Refuse = Callable[..., str]
PROMPTS = "prompts: {synthetic: {count: 2, input_tokens: 4}, output_tokens: 8}\n"


def test_two_keys_are_enough(parse: Parse, tmp_path: Path) -> None:
    spec = parse()

    assert (spec.name, spec.model, spec.engine, spec.hardware) == ("sweep", "org/name", "vllm", "auto")
    assert spec.prompts.synthetic == SyntheticPrompts(count=2, input_tokens=4)
    assert spec.search == SearchSpec()
    assert spec.measure == MeasureSpec()
    assert spec.deadlines == Deadlines()
    assert spec.objective == Objective(metric="output_throughput_tok_s", direction="maximize")
    assert spec.baseline is None
    assert spec.source == tmp_path / "sweep.yaml"
    assert spec.lines["prompts.synthetic.count"] == 2


def test_every_key(parse: Parse) -> None:
    spec = parse(
        "name: t4\n"
        "description: Which settings?\n"
        "engine: fake\n"
        "python: envs/old/bin/python\n"
        "hardware: t4\n"
        "engine_args: {dtype: float16, quantization: none, revision: null}\n"
        "environment: {A: text, B: 1}\n"
        "search: {method: grid, trials: 5, timeout: 1h30m, seed: 7}\n"
        "objective: {minimize: p95_ttft_s}\n"
        "constraints: [startup_s <= 60]\n"
        "measure: {warmup_passes: 0, passes: 5, max_seconds: 2m}\n"
        "deadlines: {load: 1m, pass: 30, close: 500ms}\n"
        "worker_start: cold\n"
        "baseline: {}\n"
    )

    assert (spec.name, spec.engine, spec.hardware, spec.worker_start) == ("t4", "fake", "t4", "cold")
    assert spec.python == str(spec.source.parent / "envs/old/bin/python")
    assert spec.engine_args == {"dtype": "float16", "revision": None}
    assert spec.environment == {"A": "text", "B": "1"}
    assert spec.search == SearchSpec(method="grid", trials=5, timeout_s=5400.0, seed=7)
    assert spec.objective == Objective(metric="p95_ttft_s", direction="minimize")
    assert [one.text for one in spec.constraints] == ["startup_s <= 60"]
    assert spec.measure == MeasureSpec(warmup_passes=0, passes=5, max_seconds=120.0)
    assert spec.deadlines == Deadlines(load_s=60.0, pass_s=30.0, close_s=0.5)
    assert spec.baseline == {}


def test_passes_may_go_on_until_the_value_is_known(parse: Parse) -> None:
    given = "measure: {until: 2%, max_passes: 9, settle: false, reset_prefix_cache: false, reference_every: 4}"

    assert parse(given).measure == MeasureSpec(
        until=0.02, max_passes=9, settle=False, reset_prefix_cache=False, reference_every=4
    )
    assert parse("measure: {until: 0.005}").measure == MeasureSpec(until=0.005)


def test_a_section_that_is_commented_out_is_absent(parse: Parse) -> None:
    assert parse("engine_args:\n  # dtype: half\nparameters:\n").engine_args == {}


def test_every_problem_is_told_at_once_in_the_order_of_the_file(refuse: Refuse) -> None:
    told = refuse("engin: fake\nsearch: {trials: 0}\nparameters: {x: 1}\nconstraints: [y < 1]\nbaseline: {z: 1}\n")

    assert [line.split(": ")[0:2] for line in told.splitlines()] == [
        ["sweep.yaml:3", "engin"],
        ["sweep.yaml:4", "search.trials"],
        ["sweep.yaml:5", "parameters.x"],
        ["sweep.yaml:6", "constraints.0"],
        ["sweep.yaml:7", "baseline.z"],
    ]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("engin: fake", "engin: unknown key 'engin' (did you mean engine?)"),
        ("max_num_seqs: 4", "max_num_seqs: unknown key 'max_num_seqs' (an engine argument? Put it under engine_args)"),
        ("search: {trails: 4}", "search.trails: unknown key 'trails' (did you mean trials?)"),
        ("deadlines: {xyzzy: 4}", "deadlines.xyzzy: unknown key 'xyzzy' (known here: load, pass, close, release)"),
        ("search: {trials: abc}", "search.trials: expected a whole number, got 'abc'"),
        ("search: {trials: '4'}", "search.trials: expected a whole number, got '4'"),
        ("search: {trials: 4.5}", "search.trials: expected a whole number, got 4.5"),
        ("search: {trials: true}", "search.trials: expected a whole number, got true"),
        ("search: {trials: 0}", "search.trials: must be 1 or more, got 0"),
        ("search: {seed: -1}", "search.seed: must be 0 or more, got -1"),
        ("search: [grid]", "search: expected keys and values, got a list"),
        (
            "search: {method: gird}",
            "search.method: expected one of auto, surrogate, grid, random, qmc, tpe, gp, cmaes, nsga2, nsga3, botorch, "
            "got 'gird' (did you mean grid?)",
        ),
        ("search: {timeout: 6x}", "search.timeout: '6x' is not a duration: write 90s, 10m, 6h or 1h30m"),
        ("search: {timeout: 0}", "search.timeout: 0 is not a positive duration"),
        ("search: {timeout: [1]}", "search.timeout: expected a duration, got a list"),
        ("engine: vlm", "engine: expected one of vllm, fake, got 'vlm' (did you mean vllm?)"),
        ("engine: transformers", "engine: transformers is not in this version (there is vllm, fake)"),
        ("engine: [vllm]", "engine: expected one of vllm, fake, got a list"),
        ("measure: {passes: 0}", "measure.passes: must be 1 or more, got 0"),
        ("measure: {warmup_passes: -1}", "measure.warmup_passes: must be 0 or more, got -1"),
        ("measure: {until: 2}", "measure.until: a share is above 0 and at most 100%, got 2 (write 2% or 0.02)"),
        ("measure: {until: 60%}", "measure.until: an interval of ±60.000% is no aim: from 0.1% to 50% is (write 2%"),
        ("measure: {until: 0.0001}", "measure.until: an interval of ±0.010% is no aim"),
        ("measure: {until: narrow}", "measure.until: expected a share, got 'narrow' (write 2% or 0.02)"),
        ("measure: {max_passes: 8}", "measure.max_passes: max_passes needs until (add until: 2%"),
        (
            "measure: {until: 2%, max_passes: 4}",
            "measure.max_passes: max_passes 4 is fewer than the 5 that are always made with until (write 12",
        ),
        ("measure: {until: 2%, passes: 9, max_passes: 8}", "max_passes 8 is fewer than the 9 that are always made"),
        ("measure: {until: 2%, passes: 20}", "measure: until has no room: 20 passes are made whatever it shows"),
        ("measure: {settle: 1}", "measure.settle: "),
        ("measure: {reference_every: -1}", "measure.reference_every: must be 0 or more, got -1"),
        ("worker_start: warm", "worker_start: expected one of auto, fork, cold, got 'warm'"),
        ("name: 4", "name: expected text, got 4 (quote it to make it text)"),
        ("name: ..", "name: '..' can't name a folder"),
        ("name: a/b", "name: 'a/b' can't name a folder"),
        ("environment: {A: true}", "environment.A: expected text or a whole number, got true (quote it"),
        ("environment: {A-B: x}", "environment: 'A-B' is not the name of an environment variable"),
        ("engine_args: [a]", "engine_args: expected keys and values, got a list"),
        ("engine_args: {model: x}", "engine_args.model: model is a key of its own, at the top"),
        ("engine_args: {disable_log_stats: true}", "engine_args.disable_log_stats: disable_log_stats can't be set"),
        ("engine_args: {replicas: 2}", "engine_args.replicas: replicas is a key of its own, at the top"),
        ("engine_args: {max-num-seqs: 2}", "'max-num-seqs' is not an argument's name (write max_num_seqs)"),
        ("engine_args: {x: {low: 1, high: 2}}", "engine_args.x: a range is searched, not fixed"),
        ("engine_args: {speculative_config: ngram}", "speculative_config takes keys and values, got 'ngram'"),
        ("mode: servr", "mode: expected one of offline, async, server, got 'servr'"),
        ("replicas: 0", "replicas: must be 1 or more, got 0"),
        ("load: {request_rat: 2}", "load.request_rat: unknown key 'request_rat' (did you mean request_rate?)"),
        ("load: {burstiness: 0.5}", "burstiness needs a request_rate"),
        ("load: {request_rate: 2, arrival: burst}", "load: arrival burst needs a burst_size"),
        ("load: {request_rate: 2, arrival: poisson, burstiness: 0.5}", "burstiness has no effect with arrival poisson"),
        ("load: {request_rate: 2, arrival: gamma, burst_size: 4}", "burst_size has no effect with arrival gamma"),
        ("load: {request_rate: 2, burstiness: 0.5, burst_size: 4}", "burstiness and burst_size exclude each other"),
        ("load: {ramp_up_strategy: linear}", "a ramp needs ramp_up_strategy, ramp_up_start_rps and ramp_up_end_rps"),
        ("sampling: {max_tokens: 5}", "max_tokens is decided by prompts"),
        ("goodput: {ttf: 5}", "goodput.ttf: unknown key 'ttf' (did you mean ttft?)"),
        ("lora_modules: {a: ./nowhere}", "lora_modules.a: no such folder: "),
        ("objective: {}", "objective: says neither maximize nor minimize"),
        ("objective: {maximize: throughput}", "'throughput' is not a metric (did you mean output_throughput_tok_s?)"),
        ("objective: {minimize: ttft_s}", "'ttft_s' is not a metric (of many requests, which? p50_ttft_s"),
        ("objective: {maximise: startup_s}", "unknown key 'maximise' (did you mean maximize?)"),
        ("constraints: startup_s < 5", "constraints: expected a list, got 'startup_s < 5'"),
        ("constraints: [5]", "constraints.0: expected text, got 5"),
        ("constraints: [startup_s = 5]", "constraints.0: 'startup_s = 5' is not a constraint"),
    ],
)
def test_a_faulty_key_is_told_in_plain_words(refuse: Refuse, extra: str, expected: str) -> None:
    told = refuse(f"{extra}\n")

    assert told.startswith("sweep.yaml:3: ")
    assert expected in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ("{output_tokens: 8}", "has neither file nor synthetic"),
        ("{file: a, synthetic: {count: 1, input_tokens: 1}, output_tokens: 8}", "has both file and synthetic"),
        ("{synthetic: {count: 1, input_tokens: 1}}", "doesn't say how much to generate"),
        ("{synthetic: {count: 1, input_tokens: 1}, until_stop: true}", "until_stop needs max_tokens"),
        (
            "{synthetic: {count: 1, input_tokens: 1}, output_tokens: 1, max_tokens: 1}",
            "max_tokens goes with until_stop",
        ),
        ("{synthetic: {count: 1, input_tokens: 1}, output_tokens: 1, until_stop: true}", "has both output_tokens and"),
        ("{synthetic: {count: 1}, output_tokens: 1}", "prompts.synthetic.input_tokens: is missing"),
        ("{synthetic: {count: 900000, input_tokens: 90}, output_tokens: 1}", "81,000,000 tokens in all"),
        (
            "{synthetic: {count: 1, input_tokens: 4, shared_prefix_tokens: 5}, output_tokens: 1}",
            "shared_prefix_tokens (5) is more than input_tokens (4)",
        ),
        ("{file: nowhere.jsonl, output_tokens: 8}", "prompts.file: no such file: nowhere.jsonl"),
        ("{file: ., output_tokens: 8}", "is not a file (name a .jsonl file)"),
        ("arc.jsonl", "prompts: expected keys and values, got 'arc.jsonl'"),
    ],
)
def test_faulty_prompts(refuse: Refuse, prompts: str, expected: str) -> None:
    told = refuse(base=f"model: org/name\nprompts: {prompts}\n")

    assert told.startswith("sweep.yaml:2: prompts")
    assert expected in told


def test_the_prompt_file_lies_beside_the_sweep_file(parse: Parse, refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "arc.jsonl").write_text("{}")
    base = "model: org/name\nprompts: {file: NAME, until_stop: true, max_tokens: 9}\n"

    assert parse(base=base.replace("NAME", "arc.jsonl")).prompts.file == tmp_path / "arc.jsonl"
    assert "did you mean arc.jsonl?" in refuse(base=base.replace("NAME", "acr.jsonl"))


def test_a_missing_model(refuse: Refuse) -> None:
    assert refuse(base=PROMPTS) == "sweep.yaml: model: is missing"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("./nowhere", "model: no such folder: nowhere (give a folder with config.json, or a hub id like org/name)"),
        ("~nobody/x", "model: no such folder: "),
        ("a b", "model: 'a b' is neither a folder here nor a hub id (a hub id reads org/name)"),
        ("a/b/c", "model: 'a/b/c' is neither a folder here nor a hub id"),
        ("empty", "has no config.json"),
        ("broken", "config.json is not JSON"),
        ("listed", "config.json is not a JSON object"),
        ("file", "file is a file (a model is a folder with config.json and its weights)"),
        ("{sh: llama}", "model: expected a folder, a hub id or {shape: NAME}"),
        ("[a]", "model: expected text, got a list"),
        ("x" * 5000, "is neither a folder here nor a hub id"),
    ],
)
def test_a_faulty_model(refuse: Refuse, tmp_path: Path, model: str, expected: str) -> None:
    for name, content in (("empty", None), ("broken", "{"), ("listed", "[]")):
        (tmp_path / name).mkdir()
        if content is not None:
            (tmp_path / name / "config.json").write_text(content)
    (tmp_path / "file").write_text("")

    told = refuse(base=f"model: {model}\n{PROMPTS}")

    assert told.startswith("sweep.yaml:1: ")
    assert expected in told


@pytest.mark.parametrize("written", ["tiny", "./tiny", "../{parent}/tiny", "{tmp}/tiny"])
def test_a_model_folder_becomes_absolute(parse: Parse, tmp_path: Path, written: str) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text(json.dumps({"vocab_size": 64}))

    spec = parse(base=f"model: {written.format(tmp=tmp_path, parent=tmp_path.name)}\n{PROMPTS}")

    assert spec.model == str(tmp_path / "tiny")


def test_a_model_folder_in_the_current_folder(parse: Parse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "tiny").mkdir(parents=True)
    (tmp_path / "here" / "tiny" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path / "here")

    assert parse(base=f"model: tiny\n{PROMPTS}").model == str(tmp_path / "here" / "tiny")


def test_load_spec_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "my sweep.yaml"
    path.write_bytes(b"\xef\xbb\xbfmodel: org/name\r\n" + PROMPTS.encode())

    assert load_spec(path).name == "my-sweep"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"model: a\nname: \xff\n", "s.yaml:2: not UTF-8 text (save the file as UTF-8)"),
        (b"# \n" * 400_000, "s.yaml: larger than 1 MiB: this is not a sweep file"),
        (b"", "s.yaml:1: the file is empty"),
    ],
)
def test_a_file_that_is_not_a_sweep_file(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "s.yaml").write_bytes(content)

    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "s.yaml")

    assert str(caught.value) == f"{tmp_path}/{expected}"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("demo", "no such sweep file; did you mean sweeps/demo.yaml?"),
        ("dmo.yaml", "no such sweep file; did you mean sweeps/demo.yaml?"),
        ("sweeps/demos.yaml", "no such sweep file; did you mean sweeps/demo.yaml?"),
        ("xyzzy.yaml", "no such sweep file; there is sweeps/demo.yaml"),
        ("sweeps", "can't be read: Is a directory"),
        ("sweeps/demo.yaml/x", "can't be read: Not a directory"),
    ],
)
def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, expected: str) -> None:
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "demo.yaml").write_text("")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError) as caught:
        load_spec(Path(asked))

    assert str(caught.value) == f"{asked}: {expected}"
    assert caught.value.exit_code == EXIT_USAGE
