"""How the engine is called: modes, replicas, load, sampling, environment and interpreters as keys and as parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from vbench.errors import SpecError
from vbench.spec.calling import whole_load
from vbench.spec.config import effective_config, engine_arguments
from vbench.spec.digest import spec_digest
from vbench.spec.loader import parse_spec
from vbench.spec.space import enumerate_points
from vbench.spec.types import SweepSpec

BASE = "model: org/name\nprompts: {synthetic: {count: 2, input_tokens: 4}, output_tokens: 8}\nsearch: {method: grid}\n"


def read(text: str, tmp_path: Path, *overrides: str) -> SweepSpec:
    return parse_spec(BASE + text, tmp_path / "sweep.yaml", overrides)


def configs(spec: SweepSpec) -> list[Mapping[str, Any]]:
    return [effective_config(spec, point.settings) for point in enumerate_points(spec.parameters)]


def test_every_way_of_calling_is_a_configuration_of_its_own(tmp_path: Path) -> None:
    spec = read("parameters: {mode: [offline, async, server], replicas: [1, 2]}\n", tmp_path)

    found = [(one["mode"], one["replicas"]) for one in configs(spec)]
    assert found == [(m, n) for m in ("offline", "async", "server") for n in (1, 2)]


def test_none_of_them_is_an_engine_argument(tmp_path: Path) -> None:
    spec = read(
        "mode: server\nreplicas: 2\nload: {max_concurrency: 4}\nsampling: {n: 2}\nenvironment: {A: b}\n"
        "goodput: {ttft: 100}\nengine_args: {max_num_seqs: 8}\n",
        tmp_path,
    )

    (config,) = configs(spec)
    assert engine_arguments(config) == {"max_num_seqs": 8, "enable_prefix_caching": False}
    assert (config["mode"], config["replicas"]) == ("server", 2)
    assert (config["load"], config["sampling"]) == ({"max_concurrency": 4}, {"n": 2})
    assert (config["environment"], config["goodput"]) == ({"A": "b"}, {"ttft": 100})


def test_what_a_sweep_does_not_set_is_not_in_its_configuration(tmp_path: Path) -> None:
    (config,) = configs(read("", tmp_path))

    assert config == {"engine": "vllm", "model": "org/name", "enable_prefix_caching": False}


def test_a_sections_key_is_searched_under_its_dotted_name(tmp_path: Path) -> None:
    spec = read(
        "mode: async\nload: {request_rate: 4, seed: 1}\nenvironment: {B: x}\n"
        "parameters:\n  load.max_concurrency: [1, 2]\n  environment.A: [1, two]\n  sampling.temperature: [0.0, 1.0]\n",
        tmp_path,
    )

    found = configs(spec)
    assert len(found) == 8
    assert found[-1]["load"] == {"request_rate": 4, "seed": 1, "max_concurrency": 2}
    assert found[0]["environment"] == {"A": "1", "B": "x"}
    assert found[-1]["environment"] == {"A": "two", "B": "x"}
    assert found[-1]["sampling"] == {"temperature": 1.0}


def test_a_key_of_a_section_may_come_along_with_an_option(tmp_path: Path) -> None:
    spec = read("parameters: {mode: [offline, server: {load.max_concurrency: [2, 4]}]}\n", tmp_path)

    assert [one.get("load") for one in configs(spec)] == [None, {"max_concurrency": 2}, {"max_concurrency": 4}]


def test_an_option_may_name_its_interpreter(tmp_path: Path) -> None:
    spec = read(
        "python: envs/new/bin/python\nparameters:\n  quantization:\n    - none\n"
        "    - squeezellm: {python: envs/old/bin/python}\n",
        tmp_path,
    )

    old = str(tmp_path / "envs/old/bin/python")
    assert spec.interpreters() == (old,)
    assert [one.get("python") for one in configs(spec)] == [None, old]


def test_interpreters_may_be_swept(tmp_path: Path) -> None:
    spec = read("parameters: {python: [new: {python: a/python}, b/python, python3]}\n", tmp_path)

    assert spec.interpreters() == (str(tmp_path / "a/python"), str(tmp_path / "b/python"), "python3")
    assert [one["python"] for one in configs(spec)] == list(spec.interpreters())


class TestVariables:
    """Of a trial's environment: text, as a process takes them."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("parameters: {environment.A: {low: 1, high: 2}}", ["1", "2"]),
            ("parameters: {environment.A: [1: {dtype: half}, x: {dtype: float}]}", ["1", "x"]),
            ("parameters: {dtype: [half: {environment.A: {low: 7, high: 8}}]}", ["7", "8"]),
        ],
    )
    def test_are_text_however_they_are_written(self, tmp_path: Path, text: str, expected: list[str]) -> None:
        assert [one["environment"]["A"] for one in configs(read(text + "\n", tmp_path))] == expected

    def test_that_are_null_are_not_set(self, tmp_path: Path) -> None:
        text = "environment: {A: x, B: y}\nparameters: {dtype: [half: {environment.A: null}]}\n"

        assert [one["environment"] for one in configs(read(text, tmp_path))] == [{"B": "y"}]


def test_what_goes_with_a_parameter_that_could_not_be_read_is_left_unsaid(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read("parameters: {load.seed: [-1]}\nbaseline: {load.seed: 3}\n", tmp_path)

    assert "baseline" not in str(caught.value)


class TestSet:
    def test_searches_a_sections_key(self, tmp_path: Path) -> None:
        text = "mode: async\nparameters: {load.max_concurrency: [1, 2], dtype: [half]}\n"
        spec = read(text, tmp_path, "parameters.load.max_concurrency=[3, 4]")

        assert [one["load"]["max_concurrency"] for one in configs(spec)] == [3, 4]

    def test_fixes_what_was_searched(self, tmp_path: Path) -> None:
        text = "parameters: {mode: [offline, async], load.max_concurrency: [1, 2], replicas: [1, 2]}\n"
        spec = read(text, tmp_path, "mode=async", "load.max_concurrency=8", "replicas=2")

        assert spec.parameters == ()
        assert (spec.mode, spec.load, spec.replicas) == ("async", {"max_concurrency": 8}, 2)

    def test_the_label_of_an_option_brings_its_settings(self, tmp_path: Path) -> None:
        text = "parameters: {mode: [offline, server: {load.max_concurrency: 4}]}\n"

        (config,) = configs(read(text, tmp_path, "mode=server"))
        assert (config["mode"], config["load"]) == ("server", {"max_concurrency": 4})


class TestShape:
    def test_is_loaded_with_dummy_weights_and_without_a_tokenizer(self, tmp_path: Path) -> None:
        (config,) = configs(read("", tmp_path, "model={shape: Qwen2.5-0.5B}"))

        assert config["model"] == "shape:qwen2.5-0.5b"
        assert (config["load_format"], config["skip_tokenizer_init"]) == ("dummy", True)

    def test_may_be_a_choice(self, tmp_path: Path) -> None:
        spec = read("parameters: {dtype: [a: {model: {shape: llama-3.2-1b}}, b: {model: org/other}]}\n", tmp_path)

        assert [one["model"] for one in configs(spec)] == ["shape:llama-3.2-1b", "org/other"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parameters: {mode: [offline, http]}", "parameters.mode.1: 'http' is not a mode"),
        ("parameters: {mode: [none, async]}", "parameters.mode.0: mode can't be left out here"),
        ("parameters: {replicas: {low: 0, high: 2}}", "parameters.replicas: expected a whole number, 1 or more, got 0"),
        ("parameters: {load.arrival: [poison]}", "parameters.load.arrival.0: "),
        ("parameters: {sampling.max_tokens: [1, 2]}", "max_tokens is decided by prompts"),
        ("parameters: {environment.A-B: [1, 2]}", "'A-B' is not the name of an environment variable"),
        ("parameters: {environment.A: [true, x]}", "expected text or a whole number, got true"),
        ("parameters: {dtype: [half: {environment.A: {const: [1]}}]}", "expected text or a whole number, got a list"),
        ("parameters: {dtype: [half: {environment: {A: x}}]}", "environment can't be chosen as a whole: name its keys"),
        ("parameters: {dtype: [half: {load: {seed: 1}}]}", "load can't be chosen as a whole: name its keys one by one"),
        ("parameters: {sampling: [a, b]}", "parameters.sampling.0: sampling can't be chosen as a whole"),
        ("parameters: {engine: [vllm, fake]}", "engine can't be set here: all trials of a sweep run the engine that"),
        ("parameters: {dtype: [half: {goodput: {ttft: 5}}]}", "goodput can't be set here: all trials of a sweep"),
        ("parameters: {lora_modules: [a, b]}", "parameters.lora_modules.0: expected adapter folders by name, got 'a'"),
        ("parameters: {python: [3]}", "expected an interpreter's path or name, got 3"),
    ],
)
def test_a_faulty_value_is_told(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(text + "\n", tmp_path)

    assert expected in str(caught.value)


def test_the_digest_changes_with_each(tmp_path: Path) -> None:
    texts = [
        "", "mode: async\n", "replicas: 2\n", "load: {max_concurrency: 2}\n", "sampling: {n: 2}\n",
        "goodput: {ttft: 5}\n",
    ]  # fmt: skip

    assert len({spec_digest(read(text, tmp_path)) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("load", "arrival"),
    [
        ({"request_rate": 2}, "poisson"),
        ({"request_rate": 2, "burstiness": 0.5}, "gamma"),
        ({"request_rate": 2, "burst_size": 4}, "burst"),
        ({"request_rate": 2, "burstiness": 1.0, "arrival": "constant"}, "constant"),
        ({"max_concurrency": 2}, None),
    ],
)
def test_how_requests_arrive_is_said_to_the_worker(load: dict[str, Any], arrival: str | None) -> None:
    assert whole_load({**load, "seed": None}) == {**load, **({"arrival": arrival} if arrival else {})}
