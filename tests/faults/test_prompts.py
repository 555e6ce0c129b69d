"""Prompt files that are huge, broken, or no files: each ends in words that name the line, and nothing is measured."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path

import pytest

from tests.cli.process import BASE, Vbench, records_of
from tests.faults.matrix import Counts, fault

_GOOD = '{"prompt": "a good one"}\n'


def sweep_of(vbench: Vbench, content: str | bytes, name: str = "prompts.jsonl", more: str = "") -> Path:
    """A sweep file over a prompt file of this content."""
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    (vbench.folder / name).write_bytes(data)
    return sweep_over(vbench, name, more)


def sweep_over(vbench: Vbench, name: str, more: str = "") -> Path:
    """A sweep file over a prompt file that is there."""
    section = f"prompts: {{file: {name}, output_tokens: 4{more}}}"
    lines = [section if line.startswith("prompts:") else line for line in BASE.splitlines()]
    return vbench.write("\n".join(lines) + "\n")


def refused(vbench: Vbench, path: Path, *says: str) -> None:
    """Exit code 2, these words, no traceback, and no run was begun."""
    done = vbench("sweep", path, check=2)
    for words in says:
        assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr
    assert not (vbench.folder / "results").exists()


@fault("input", "a prompt file of a million lines", "it is read, and measured as any other")
def test_a_million_lines(vbench: Vbench) -> None:
    lines = "".join(f'{{"prompt":"p{number}"}}\n' for number in range(1_000_000))
    digest = hashlib.sha256(lines.encode()).hexdigest()  # it is of all lines, so all of them are read
    path = sweep_of(vbench, lines, more=f", limit: 3, sha256: {digest}")
    vbench("sweep", path, check=0)
    assert records_of(vbench.run())[0]["outcome"] == "completed"
    assert len((vbench.run() / "prompts.jsonl").read_text().splitlines()) == 3


@fault("input", "a million lines, the last one broken", "the line is named by its number")
def test_the_last_of_a_million_lines(vbench: Vbench) -> None:
    path = sweep_of(vbench, _GOOD * 999_999 + '{"prompt": ')
    refused(vbench, path, "prompts.jsonl:1000000: not JSON")


@fault("input", "a line of 50 MB", "it is a prompt like any other")
def test_a_line_of_50_mb(vbench: Vbench) -> None:
    path = sweep_of(vbench, json.dumps({"prompt": "a" * 50_000_000}) + "\n")
    vbench("sweep", path, check=0)
    assert records_of(vbench.run())[0]["outcome"] == "completed"


@fault("input", "a line of more than 64 MiB", "it is refused, and the lines behind it keep their numbers")
def test_a_line_that_never_ends(vbench: Vbench) -> None:
    long = json.dumps({"prompt": "a" * (65 * 1024**2)})
    refused(
        vbench,
        sweep_of(vbench, f"{_GOOD}{long}\n{_GOOD}nonsense\n"),
        "prompts.jsonl:2: longer than 64 MiB",
        "prompts.jsonl:4: not JSON",
    )


@fault("input", "bad JSON in line 7 of a prompt file", "`file:7` and the column are named; nothing is measured")
def test_bad_json_in_line_7(vbench: Vbench) -> None:
    refused(vbench, sweep_of(vbench, _GOOD * 6 + '{"prompt": "x"]\n' + _GOOD), "prompts.jsonl:7: not JSON", "column 15")


BROKEN = {
    "a NUL byte": (b'{"prompt": "a\0b"}\n', "a NUL byte"),
    "a NUL character, escaped": (b'{"prompt": "a\\u0000b"}\n', "a NUL character"),
    "binary junk": (bytes(range(256)) * 40, "prompts.jsonl:1"),
    "not UTF-8": ('{"prompt": "ü"}\n'.encode("latin-1"), "not UTF-8 text"),
    "half a character": (b'{"prompt": "\\ud83d"}\n', "lone surrogate"),
    "1e999": (b'{"messages": [{"role": "u", "content": "x", "t": 1e999}]}\n', "beyond what a number can hold"),
    "-1e999": (b'{"prompt": "x", "id": -1e999}\n', "beyond what a number can hold"),
    "NaN": (b'{"prompt": "x", "score": NaN}\n', "NaN is not a number"),
    "5,000 digits": (b'{"prompt": "x", "n": 1' + b"0" * 5000 + b"}\n", "not JSON"),
    "nested 100,000 deep": (b'{"prompt": ' + b"[" * 100_000 + b"\n", "nested too deeply"),
    "a key twice": (b'{"prompt": "a", "prompt": "b"}\n', "the key 'prompt' is there twice"),
    "two kinds of prompt": (b'{"prompt": "a", "prompt_token_ids": [1]}\n', "which is it?"),
    "a list": (b"[1, 2]\n", "expected an object"),
    "an empty file": (b"", "an empty prompt set"),
    "blank lines": (b"\n \n\t\n", "an empty prompt set"),
    "a huge token id": (b'{"prompt_token_ids": [99999999999999999999]}\n', "whole numbers, 0 or more"),
    "a token id that is a bool": (b'{"prompt_token_ids": [true]}\n', "whole numbers, 0 or more"),
    "a huge output_tokens": (b'{"prompt": "a", "output_tokens": 4000000000}\n', "output_tokens"),
}


@fault(
    "input", "a faulty line in a prompt file (18 kinds)", "the line is named, with what is wrong; nothing is measured"
)
@pytest.mark.parametrize("kind", BROKEN)
def test_a_faulty_line(vbench: Vbench, kind: str) -> None:
    content, says = BROKEN[kind]
    refused(vbench, sweep_of(vbench, content), "prompts.jsonl", says)


@fault("input", "a prompt file with the same id twice", "both are prompts; a note names the two lines")
def test_ids_that_are_there_twice(vbench: Vbench) -> None:
    lines = [{"id": number % 3, "prompt": f"p{number}"} for number in range(5)]
    path = sweep_of(vbench, "".join(f"{json.dumps(line)}\n" for line in lines))
    done = vbench("prompts", "show", "prompts.jsonl", check=0)
    assert "line 4 has the id of line 1, and 1 more such line" in " ".join(done.stdout.split())
    assert "5 prompts" in done.stdout
    vbench("sweep", path, check=0)
    assert len((vbench.run() / "prompts.jsonl").read_text().splitlines()) == 5


@fault("input", "prompts from a pipe, a socket or a device", "it is refused at once, not waited for")
@pytest.mark.parametrize("name", ["pipe.jsonl", "pipe.txt", "pipe.json", "pipe", "socket.jsonl", "/dev/zero", "folder"])
def test_no_plain_file(vbench: Vbench, name: str) -> None:
    path = vbench.folder / name
    if name.startswith("pipe"):
        os.mkfifo(path)
    elif name == "folder":
        path.mkdir()
        os.mkfifo(path / "one.txt")
    elif name.startswith("socket"):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    refused(vbench, sweep_over(vbench, name))
    assert "can't be read" in vbench("prompts", "show", name, check=2).stderr


@fault("input", "a prompt file with a name that is too long", "exit code 2 says so")
def test_a_name_that_is_too_long(vbench: Vbench) -> None:
    name = "a" * 300
    for words in (["prompts", "show", f"{name}.jsonl"], ["prompts", "show", name], ["sweep", f"{name}.yaml"]):
        done = vbench(*words, check=2)
        assert name[:50] in done.stderr
        assert "defect" not in done.stderr


@fault("input", "a prompt file, or a folder of them, that mustn't be read", "exit code 2 names it")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["prompts.jsonl", "folder"])
def test_what_must_not_be_read(vbench: Vbench, name: str) -> None:
    path = vbench.folder / name
    if name == "folder":
        path.mkdir()
    else:
        path.write_text(_GOOD)
    path.chmod(0)
    try:
        refused(vbench, sweep_over(vbench, name), "can't be read: Permission denied")
    finally:
        path.chmod(0o700)


@fault("input", "a prompt file that changes between two sessions", "a new run is begun beside the old, and says why")
def test_a_file_that_changes(vbench: Vbench, counts: Counts) -> None:
    path = sweep_of(vbench, _GOOD)
    vbench("sweep", path, check=0)
    sweep_of(vbench, _GOOD * 2)
    done = vbench("sweep", path, check=0)
    assert "the prompts changed since" in done.stdout
    first, second = vbench.runs()
    counts.records(first, 1)
    counts.records(second, 1)
