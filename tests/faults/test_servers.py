"""Servers that misbehave, through whole sweeps: a stand-in for vLLM's (`sick_server`) in an interpreter of its own."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import Vbench, marked, records_of, wait_for
from tests.faults.matrix import Counts, fault
from tests.faults.sick_vllm import make_interpreter

SWEEP = """\
name: small
model: org/name
engine: vllm
mode: server
worker_start: cold
prompts: {synthetic: {count: 3, input_tokens: 8}, output_tokens: 4}
measure: {warmup_passes: 0, passes: 1, repeat_spoiled: false}
search: {method: grid}
"""
SOUND = "none"


class Ran:
    """A sweep over sick servers that ended: its records by sickness, and everything it said."""

    def __init__(self, vbench: Vbench, run: Path, said: str) -> None:
        self.vbench, self.run, self.said = vbench, run, said
        self.records = {_sickness(record): record for record in records_of(run)}

    def evidence(self, sickness: str) -> str:
        return str(self.records[sickness]["failure"]["evidence"])

    def log(self, sickness: str) -> str:
        return (self.run / "logs" / f"{self.records[sickness]['trial']:04d}.log").read_text(encoding="utf-8")

    def outcomes(self) -> dict[str, str]:
        return {sickness: str(record["outcome"]) for sickness, record in self.records.items()}


def _sickness(record: dict[str, Any]) -> str:
    return str(record["config"].get("sickness", SOUND))


def prepared(vbench: Vbench, more: str) -> Path:
    """The sweep file, and the interpreter that it names."""
    python = make_interpreter(vbench.folder / "sick")
    return vbench.write(f"{SWEEP}python: {python}\n{more}")


def swept(vbench: Vbench, counts: Counts, sicknesses: Sequence[str], more: str = "baseline: {}", code: int = 0) -> Ran:
    """One sweep with a trial for each sickness, after a sound one unless `more` says else; each counts as a fault."""
    text = f"parameters: {{sickness: {json.dumps(list(sicknesses))}}}\n{more}\n"
    done = vbench("sweep", prepared(vbench, text), SICK_SERVER_KEY=str(vbench.folder / "key"), check=code)
    ran = Ran(vbench, vbench.run(), done.stdout + done.stderr)
    counts.records(ran.run, len(sicknesses) + ("baseline" in more))
    counts.tried(len(sicknesses) - 1)
    return ran


def assert_all_crashed(ran: Ran, said: dict[str, str]) -> None:
    """Each sickness is a crash that says so, and the sound trial before them is none."""
    assert ran.outcomes() == {SOUND: "completed", **dict.fromkeys(said, "crashed")}, ran.said
    for sickness, words in said.items():
        assert words in ran.evidence(sickness), sickness


@fault("server", "it answers 500, or something else that is no answer", "the trial is `crashed`, in the server's own "
       "words; the sweep goes on")  # fmt: skip
def test_errors(vbench: Vbench, counts: Counts) -> None:
    said = {
        "500": "HTTP 500: the engine is dead",
        "500 without a word": "HTTP 500: (without a word)",
        "500 in the stream": "HTTP 500: it broke",
        "302": "HTTP 302",
    }
    assert_all_crashed(swept(vbench, counts, list(said)), said)


@fault("server", "it closes the connection before its answer, or amid it", "the trial is `crashed` and says so")
def test_closes(vbench: Vbench, counts: Counts) -> None:
    said = dict.fromkeys(["closes before", "closes mid-stream"], "closed the connection before its answer's end")
    assert_all_crashed(swept(vbench, counts, list(said)), said)


@fault("server", "garbage in the stream", "the trial is `crashed`; what came is shown, and never a token of it counted")
def test_garbage(vbench: Vbench, counts: Counts) -> None:
    said = {
        "no JSON": "is no JSON: b'{nonsense'",
        "binary": "is no JSON: b'\\x80",
        "no object": "is no JSON object: b'[1, 2]'",
        "deep": "is no JSON: b'[[[",
        "no HTTP": "not an HTTP answer: b'SSH-2.0",
        "choices of words": "choices that are no list: 'many'",
        "choice of words": "a choice without its number: 'one'",
        "index of words": "a choice without its number: {'index': 'first'",
        "tokens of words": "tokens that are no numbers: ['seven']",
        "tokens of NaN": "tokens that are no numbers: [nan]",
        "reset of nonsense": "is no JSON object: b'\"lately\"'",
    }
    assert_all_crashed(swept(vbench, counts, list(said)), said)


@fault("server", "pages of nonsense about itself", "what they would tell is unknown, and the trial is measured")
def test_pages_of_nonsense(vbench: Vbench, counts: Counts) -> None:
    ran = swept(vbench, counts, ["facts of nonsense", "metrics of nonsense"])

    assert set(ran.outcomes().values()) == {"completed"}


@fault(
    "server", "counts of tokens that can't be", "the trial is `crashed` and says the count; no memory is taken by it"
)
def test_counts(vbench: Vbench, counts: Counts) -> None:
    said = {
        "usage of words": "has no prompt_tokens: 'some'",
        "usage below 0": "'completion_tokens': -1",
        "usage of 10**12": "counts 1000000000000 tokens where 1 came",
        "prompt of 10**12": "counts 1000000000000 prompt_tokens",
        "tokens of 10**12": "counts 1000000000000 completion_tokens, more than the 4",
        "no usage": "ended without its usage, after 1 tokens",
        "too many": "more than the 4 tokens that it was asked for",
    }
    assert_all_crashed(swept(vbench, counts, list(said)), said)


@fault("server", "an answer without end", "cut off once it is longer than what was asked for: `crashed`, in bounded "
       "memory")  # fmt: skip
def test_answers_without_end(vbench: Vbench, counts: Counts) -> None:
    said = {
        "tokens without end": "more than the 4 tokens",
        "an event without end": "an event of the answer has no end: 256 MiB came",
        "an error without end": "HTTP 500: xxxx",
        "a head without end": "not an HTTP answer",
    }
    assert_all_crashed(swept(vbench, counts, list(said)), said)


@fault("server", "it never answers a request", "the pass's deadline ends the trial: `timed_out`; the sweep goes on")
def test_silence(vbench: Vbench, counts: Counts) -> None:
    ran = swept(vbench, counts, ["silence", "comments without end"], "deadlines: {pass: 1s}", code=1)

    assert set(ran.outcomes().values()) == {"timed_out"}, ran.said


@fault("server", "it never becomes healthy", "the deadline for loading ends the trial: `timed_out`; the sweep goes on")
def test_never_healthy(vbench: Vbench, counts: Counts) -> None:
    sicknesses = ["never healthy", "health without an answer", "health elsewhere", "never listens"]
    ran = swept(vbench, counts, sicknesses, "deadlines: {load: 2s}", code=1)

    assert ran.outcomes() == dict.fromkeys(sicknesses, "timed_out"), ran.said


@fault("server", "it dies at load, or in a pass", "the trial is `crashed` with the server's own error, or its signal")
def test_deaths(vbench: Vbench, counts: Counts) -> None:
    said = {
        "exits at load": "the server's process ended with exit code 3",
        "raises at load": "RuntimeError: the engine can't be made",
        "dies": "the server's process ended with signal 9",
    }
    assert_all_crashed(swept(vbench, counts, list(said)), said)


@fault("server", "its port is taken while it loads, by a program that says yes to everything", "that program is sent "
       "nothing and never measured; the server starts again on another port, and the record says so")  # fmt: skip
def test_port_in_use(vbench: Vbench, counts: Counts) -> None:
    ran = swept(vbench, counts, ["port in use"])

    assert ran.outcomes() == {SOUND: "completed", "port in use": "completed"}
    notes = [str(note) for note in ran.records["port in use"]["environment"]["notes"]]
    assert any("started again, as a port was in use" in note for note in notes), notes


@fault("server", "every port it tries is taken", "after 3 starts the trial is `interrupted`, not its configuration's "
       "failure; what to do is said")  # fmt: skip
def test_every_port_in_use(vbench: Vbench, counts: Counts) -> None:
    ran = swept(vbench, counts, ["port in use, always"], "", code=3)

    assert ran.outcomes() == {"port in use, always": "interrupted"}
    assert "Address already in use" in ran.evidence("port in use, always")
    assert "another process has the port" in ran.said


@fault("server", "its error repeats the key that it was asked with", "the key is in no record, no log and no line of "
       "the terminal")  # fmt: skip
@pytest.mark.parametrize("sickness", ["tells the key", "tells the key in the stream"])
def test_key_told(vbench: Vbench, counts: Counts, sickness: str) -> None:
    ran = swept(vbench, counts, [sickness])
    key = (vbench.folder / "key").read_text(encoding="utf-8")

    assert ran.outcomes()[sickness] == "crashed"
    assert "you asked with Bearer [key]" in ran.evidence(sickness)
    assert len(key) >= 32
    counts.secrets(ran.run, key)
    counts.secrets(ran.said, key)


@fault("server", "it is killed between trials of an engine that is kept alive", "the next trial gets a fresh one; no "
       "record is lost, none blames its configuration")  # fmt: skip
def test_killed_between_trials(vbench: Vbench, counts: Counts) -> None:
    limits = list(range(1, 13))
    path = prepared(vbench, f"parameters: {{load.max_concurrency: {limits}}}\nbaseline: {{}}\n")
    command = vbench.start("sweep", path)
    run = wait_for(vbench.runs, "the run")[0]
    for least in (1, 5):
        _wait_for_records(run, least)
        _kill_server(run)
    said, errors = command.communicate(timeout=300)

    counts.tried(1)
    assert command.returncode == 0, said + errors
    assert {record["outcome"] for record in records_of(run)} == {"completed"}, said
    counts.records(run, len(limits) + 1)


def _wait_for_records(run: Path, least: int) -> None:
    path = run / "trials.jsonl"
    wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") >= least, f"{least} records")


def _kill_server(run: Path) -> None:
    """Kill the server of the run, once there is one."""
    servers = wait_for(lambda: [pid for pid in marked(run) if b"server" in _words(pid)], "a server")
    for pid in servers:
        os.kill(pid, signal.SIGKILL)


def _words(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
