"""A sweep file's text without its secrets: nothing of them stays, and the rest is the YAML that it was."""

from __future__ import annotations

import pytest

from vbench.spec.redacted_text import shown_override, stored_override, text_without_secrets
from vbench.spec.yaml_lines import read_yaml

SECRET = "s3cret-of-mine"


@pytest.mark.parametrize(
    "text",
    [
        "hf_token: {}\n", "environment:\n  MY_PASS: {}\n", "environment: {{A: b, HF_TOKEN: {}, C: d}}\n",
        "environment: {{A: b,\n  HF_TOKEN:\n    {}\n  , C: d}}\n", "api_key: [{}, {}]\n", "api_key:\n- {}\n- {}\n",
        "password: |\n  {}\n  more-of-1t\n", "password: >-\n  {}", "password: |\n  {}", "? secret\n: {}\n",
        "a: [{{api_key: {}}}]\n", "'hf_token': '{}'\n", '"hf_token": "{}" # mine\n', "hf_token: &t {}\nx: *t\n",
        "x: &t {}\nhf_token: *t\n", "environment.HF_TOKEN: {}\n", "a: 1\n# hf_token: {}\n", "secret: {{a: {}}}\n",
        "description: see https://me:{}@host/x\n", "hf_token: {}: broken\n  yaml: [\n",
        "a: [\nhf_token: {}\n",
    ],
)  # fmt: skip
def test_no_way_of_writing_it_stays(text: str) -> None:
    shown = text_without_secrets(text.format(SECRET, "an0ther-secret"))
    assert SECRET not in shown
    assert "an0ther-secret" not in shown
    assert "more-of-1t" not in shown
    assert "***" in shown
    assert text_without_secrets(shown) == shown


def test_the_rest_is_as_it_was() -> None:
    text = (
        "# a comment\nname: x  # of mine\nengine_args:\n  hf_token: |\n    s3cret-of-mine\n  dtype: float16\n"
        "environment: {OMP_NUM_THREADS: '1', API_KEY: s3cret-of-mine}\nlist: [1, 2.0, text]\n"
    )
    before, after = read_yaml(text, "x").value, read_yaml(text_without_secrets(text), "x").value
    before["engine_args"]["hf_token"] = before["environment"]["API_KEY"] = "***"
    assert after == before
    assert text_without_secrets(text).startswith("# a comment\nname: x  # of mine\n")


def test_a_file_without_secrets_is_unchanged() -> None:
    text = "name: x\nparameters:\n  max_num_seqs: [1, 2]\nsampling: {stop_token_ids: [2]}\ndeadlines: {pass: 60s}\n"
    assert text_without_secrets(text) == text


@pytest.mark.parametrize(
    ("given", "shown", "stored"),
    [
        ("max_num_seqs=4", "max_num_seqs=4", "max_num_seqs=4"),
        ("hf_token=abc", "hf_token=***", "hf_token=***"),
        ("engine_args.hf_token=abc", "engine_args.hf_token=***", "engine_args.hf_token=***"),
        ("environment.OMP_NUM_THREADS=1", "environment.OMP_NUM_THREADS=1", "environment.OMP_NUM_THREADS=***"),
        ("environment={A: b, HF_TOKEN: c}", 'environment={A: b, HF_TOKEN: "***"}', "environment=***"),
        ("x={api_key: abc}", 'x={api_key: "***"}', 'x={api_key: "***"}'),
        ("hf_token", "hf_token", "hf_token"),
    ],
)
def test_overrides(given: str, shown: str, stored: str) -> None:
    assert shown_override(given) == shown
    assert stored_override(given) == stored


@pytest.mark.parametrize("text", ["\n", "{a: [", "{a: ", " ", "- "])
def test_a_long_text_that_is_no_yaml_takes_no_longer_for_each_character(text: str) -> None:
    # Were each place looked at from each other, this would take hours.
    assert text_without_secrets("\t" + text * (600_000 // len(text))).strip().startswith(text.strip())
