"""Secrets in texts, settings, records and files: known by name, by look and by value."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.records.builders import make_record
from vbench.execution.failures import clean_line
from vbench.records.record import Failure
from vbench.records.redacted_files import Logs, hide_secrets_in
from vbench.records.redacted_record import clean_record
from vbench.records.redaction import HIDDEN, KNOWN, clean, clean_data, learn_settings
from vbench.records.secret_names import is_secret

VALUE = "pl4nted/va+lue"


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [*os.environ]:
        if is_secret(name) or name in ("XDG_CACHE_HOME", "HF_HOME", "HF_TOKEN_PATH"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nowhere")
    KNOWN.forget()
    yield
    KNOWN.forget()


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN", "HF_TOKENS", "HUGGING_FACE_HUB_TOKEN", "hf_token", "engine_args.hf_token", "accessToken", "apiKey",
        "api-key", "X-Api-Key", "Authorization", "COOKIE", "Set-Cookie", "MY_PASS", "DB_PASSWORD", "GITHUB_PAT", "DSN",
        "SENTRY_DSN", "SIGNING_KEY", "BASIC_AUTH", "AUTH", "aws_session_token", "AWS_SECRET_ACCESS_KEY", "KAGGLE_KEY",
        "client_secret", "environment.VLLM_API_KEY", "CONNECTION_STRING", "SLACK_WEBHOOK", "secret_access_key",
        "lower_token", "my-token",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name, "abc")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_num_batched_tokens", 8192), ("stop_token_ids", [2]), ("eos_token", "</s>"), ("tokenizer", "org/name"),
        ("TOKENIZERS_PARALLELISM", "false"), ("VLLM_MAX_TOKENS", "64"), ("output_tokens", 8), ("PATH", "/bin"),
        ("PYTHONPATH", "/x"), ("SSH_AUTH_SOCK", "/tmp/x"), ("HF_TOKEN_PATH", "/x"), ("deadlines.pass", "60s"),
        ("pass_config", "x"), ("long_prefill_token_threshold", 4), ("PWD", "/x"), ("hf_token", True),
        ("hf_token", None), ("API_KEY", ""), ("spec_tokens", 4), ("num_speculative_tokens", 3), ("keyfile", "x"),
        ("trust_remote_code", True), ("bot_token", "<|bot|>"), ("prefix_token_cache", "x"),
    ],
)  # fmt: skip
def test_names_of_other_things(name: str, value: object) -> None:
    assert not is_secret(name, value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token hf_AbCdEfGhIjKlMnOpQrSt is bad", "token *** is bad"),
        ("sk-proj-1234567890abcdef", "***"),
        ("Bearer abc123def456", "Bearer ***"),
        ("{'Authorization': 'Basic dXNlcjpwYXNz'}", "{'Authorization': 'Basic ***'}"),
        ('"authorization": "abcd1234"', '"authorization": "***"'),
        ("https://user:pa5s@host/x?y=1", "https://user:***@host/x?y=1"),
        ("https://0123456789abcdef0@github.com/a", "https://***@github.com/a"),
        ("GET /x?api_key=zzz&page=2&X-Amz-Signature=f00", "GET /x?api_key=zzz&page=2&X-Amz-Signature=f00"),
        ("GET /x?api_key=zzzzzz&page=2&X-Amz-Signature=f00f00", "GET /x?api_key=***&page=2&X-Amz-Signature=***"),
        ("HF_TOKEN=abc123def", "HF_TOKEN=***"),
        (
            "non-default args: {'hf_token': 'abc123', 'model': 'm'}",
            "non-default args: {'hf_token': '***', 'model': 'm'}",
        ),
        ("{'api_key': ['abc123']}", "{'api_key': ['***']}"),
        ("key vbench-key-" + "0a" * 16, "key ***"),
        ("ghp_" + "a1" * 12, "***"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.abc-_1", "***"),
    ],
)
def test_what_looks_like_a_secret(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Processed prompts: 100% 512/512, est. speed input: 1200.00 toks/s, output: 900.12 toks/s",
        "GPU KV cache size: 123,456 tokens", "max_num_batched_tokens=8192", "eos_token: </s>", "disk-usage-percentage",
        "see https://docs.vllm.ai/en/latest/x.html@v1", "ssh://git@github.com/a/b", "Bearer token required",
        "api_key = os.environ.get('API_KEY')", "TOKENIZERS_PARALLELISM=(true | false)", "hf_overrides is None",
        "Using default chunked_prefill_token_threshold 2048", "", "İ" * 50,
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert clean(text) == text


def test_a_value_is_known_wherever_it_turns_up_and_however_it_is_written() -> None:
    learn_settings({"environment": {"MY_PASS": VALUE}, "parameters": [{"deep": {"secret": ["other-5ecret"]}}]})
    assert clean(f"said {VALUE}!") == "said ***!"
    assert clean("other-5ecret") == HIDDEN
    assert clean("x=pl4nted%2Fva%2Blue") == "x=***"
    assert clean(repr({"k": VALUE})) == "{'k': '***'}"


def test_each_line_of_a_long_secret_is_known() -> None:
    learn_settings({"PRIVATE_KEY": "first-l1ne\nsecond-l1ne\n"})
    assert clean("a second-l1ne") == "a ***"


def test_words_numbers_and_files_are_hidden_under_their_name_alone(tmp_path: Path) -> None:
    values = {"A_TOKEN": "completed", "B_SECRET": "12345678", "C_PASSWORD": str(tmp_path), "D_SECRET": "ab1"}
    learn_settings(values)
    for value in values.values():
        assert clean(f"is {value}") == f"is {value}"
    assert set(clean_data(values).values()) == {HIDDEN}


def test_the_environment_and_token_files_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("file-t0ken-1\n")
    (tmp_path / "stored_tokens").write_text("[mine]\nhf_token = file-t0ken-2\n")
    (tmp_path / "elsewhere").write_text("file-t0ken-3")
    variables = {
        "HF_HOME": str(tmp_path), "HF_TOKEN_PATH": str(tmp_path / "elsewhere"), "A_PASS": "env-pa55",
        "HTTPS_PROXY": "http://u:pr0xy-pass@h:1", "HARMLESS": "visible-1",
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    KNOWN.forget()
    for secret in ("file-t0ken-1", "file-t0ken-2", "file-t0ken-3", "env-pa55", "pr0xy-pass"):
        assert clean(f"<{secret}>") == "<***>"
    assert clean("visible-1") == "visible-1"


def test_settings_of_any_depth() -> None:
    shown = clean_data(
        {"a": [{"api_key": {"user": "u", "n": 5}}], "token": True, "n": 1.5, "hf_AbCdEfGhIjKlMnOpQrSt": 1}
    )
    assert shown == {"a": [{"api_key": {"user": HIDDEN, "n": HIDDEN}}], "token": True, "n": 1.5, HIDDEN: 1}


def test_many_secrets_are_not_kept_for_ever() -> None:
    for number in range(3_000):
        learn_settings({"PASSWORD": f"pa55-{number}"})
    assert len(list(KNOWN.values)) <= 2_000
    assert clean("pa55-2999") == HIDDEN


def test_a_record_is_clean_and_its_numbers_are_as_they_were() -> None:
    learn_settings({"PASSWORD": VALUE})
    record = make_record(
        0,
        failure=Failure(failure_class="exception", evidence=f"said {VALUE}", advice="none", phase="load"),
        config={"model": f"https://u:{VALUE}@h"},
        warnings=[VALUE],
        environment={"notes": [VALUE]},
    )
    line = clean_record(record).to_json_line()
    assert VALUE not in line
    assert record.measurements == clean_record(record).measurements
    plain = make_record(1)
    assert clean_record(plain) is plain


@pytest.mark.parametrize("before", [495, 3_995, 7_995])
def test_a_secret_is_hidden_before_a_line_is_cut(before: int) -> None:
    learn_settings({"PASSWORD": VALUE})
    assert VALUE[:4] not in clean_line("." * before + VALUE + "!")


def test_a_file_is_overwritten_in_place(tmp_path: Path) -> None:
    learn_settings({"PASSWORD": VALUE})
    path = tmp_path / "0000.log"
    before = b"\xff\x00 " + VALUE.encode() + b" \x80 HF_TOKEN=abc123def\nend"
    path.write_bytes(before)
    assert hide_secrets_in(path) == 2
    after = path.read_bytes()
    assert len(after) == len(before)
    assert after == b"\xff\x00 " + b"*" * len(VALUE) + b" \x80 HF_TOKEN=" + b"*" * 9 + b"\nend"
    assert hide_secrets_in(path) == 0


@pytest.mark.parametrize("shift", range(-16, 17, 4))
def test_a_secret_across_the_edge_of_what_is_read_at_once(tmp_path: Path, shift: int) -> None:
    learn_settings({"PASSWORD": VALUE})
    path = tmp_path / "0000.log"
    edge = 1024**2 + shift
    text = b"." * (edge - len("API_KEY=")) + b"API_KEY=k3y-of-mine " + VALUE.encode() + b"\n"
    path.write_bytes(text)
    hide_secrets_in(path)
    assert b"k3y-of-mine" not in path.read_bytes()
    assert VALUE.encode() not in path.read_bytes()
    assert path.stat().st_size == len(text)


def test_a_sparse_file_stays_sparse(tmp_path: Path) -> None:
    learn_settings({"PASSWORD": VALUE})
    path = tmp_path / "0000.log"
    with path.open("wb") as file:
        file.write(VALUE.encode())
        file.seek(64 * 1024**2)
        file.write(VALUE.encode())
    blocks = path.stat().st_blocks
    assert hide_secrets_in(path) == 2
    assert path.stat().st_blocks == blocks


def test_what_cannot_be_opened_is_left(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.log")
    target = tmp_path / "target"
    target.write_text("HF_TOKEN=abc123def")
    (tmp_path / "link.log").symlink_to(target)
    for name in ("fifo.log", "link.log", "missing.log"):
        assert hide_secrets_in(tmp_path / name) == 0
    assert target.read_text() == "HF_TOKEN=abc123def"


def test_logs_that_a_killed_session_left_are_looked_through(tmp_path: Path) -> None:
    text = "HF_TOKEN=abc123def\n"
    logs, records = tmp_path / "logs", tmp_path / "trials.jsonl"
    logs.mkdir()
    for name in ("0000.log", "0001.log", "keeper.log"):
        (logs / name).write_text(text)
    records.write_text("")
    os.utime(logs / "0000.log", (1, 1))  # before the last record: looked through when it was stored
    watched = Logs(logs, records)
    watched.begin()
    assert [(logs / name).read_text() == text for name in ("0000.log", "0001.log", "keeper.log")] == [
        True,
        False,
        False,
    ]
    (logs / "0002.log").write_text(text)
    with (logs / "0001.log").open("a") as file:
        file.write(text)
    watched.end()
    assert text not in (logs / "0001.log").read_text() + (logs / "0002.log").read_text()


def test_a_basic_header_in_a_long_text_is_found() -> None:
    encoded = base64.b64encode(b"me:secret").decode()
    assert encoded not in clean("x" * 100_000 + f"Authorization: Basic {encoded}" + "y" * 100_000)
