"""A secret is planted everywhere, and looked for everywhere: files, terminals, exceptions, command lines, reports."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.process import COMMAND, MEASURE, Vbench, wait_for
from tests.faults.matrix import Counts, fault

PLANT = "pl4nted"
"""In every secret that is planted."""
_HEAD = f"""\
name: small
model: org/name
engine: fake
prompts: {{synthetic: {{count: 4, input_tokens: 8}}, output_tokens: 8}}
{MEASURE}"""
_EVERYWHERE = f"""\
# an older key: hf_{PLANT}CommentABCDEFGH
description: uses hf_{PLANT}DescriptionABCDE for downloads
engine_args:
  hf_token: {PLANT}-argument
  model_loader_extra_config:
    ? access_key
    : |
      {PLANT}-block
      {PLANT}-second-line
    endpoints: [{{password: {PLANT}-list}}, "https://me:{PLANT}-url@host/x"]
    headers: {{Authorization: "Bearer {PLANT}-bearer"}}
  fail: "print_environment@pass"
environment:
  MY_PASS: {PLANT}-pass
  lower_token: {PLANT}-lower
  HTTPS_PROXY: http://u:{PLANT}-proxy@h:1
  GITHUB_PAT: [[PAT]]
  A_URL: "postgresql://me:{PLANT}-db@h/x?password={PLANT}-query"
parameters:
  max_num_seqs: [1, 2]
  dtype:
    - half: {{dtype: float16, "environment.API_KEY": {PLANT}-option}}
baseline: {{max_num_seqs: 1}}
search: {{method: grid, finalists: 2}}
""".replace("[[PAT]]", f"{PLANT}-pat")
_NUM_PLANTED = _EVERYWHERE.count(PLANT)
_OUTSIDE = {
    "DB_PASSWORD": f"{PLANT}-outside",
    "AWS_SECRET_ACCESS_KEY": f"{PLANT}/outside+2",
    "SIGNING_KEY": f"{PLANT}-3",
}
_MORE = f"HTTP 401 for https://u:{PLANT}1@h/x?token={PLANT}2 with Authorization: Bearer {PLANT}3"


@pytest.fixture
def outside(tmp_path: Path) -> dict[str, str]:
    """Secrets of the user's own environment, and files with more of them, away from where vbench writes."""
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text(f"hf_{PLANT}TokenFile")
    return {**_OUTSIDE, "HF_HOME": str(tmp_path / "hf")}


def _sweep_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(_HEAD + text)
    return path


def _nothing_in(counts: Counts, vbench: Vbench, *texts: str) -> None:
    counts.secrets(vbench.folder, PLANT)
    counts.secrets("\n".join(texts), PLANT)


@fault(
    "security",
    "secrets planted everywhere in a sweep, its environment and its engine's output",
    "They are in no record, log, report, table, database or output, whichever command is asked.",
)
def test_planted_everywhere(vbench: Vbench, counts: Counts, tmp_path: Path, outside: dict[str, str]) -> None:
    file = _sweep_file(tmp_path, _EVERYWHERE)
    counts.tried(_NUM_PLANTED + len(_OUTSIDE) + 1)
    swept = vbench("sweep", file, "--set", f"hf_token={PLANT}-set", **outside, check=0)
    run = vbench.run()
    log = (run / "logs" / "0000.log").read_text()
    assert "MY_PASS=****" in log, "the engine did print its environment"
    assert 'lower_token: "***"' in (run / "sweep.yaml").read_text()
    said = [swept.stdout, swept.stderr]
    asked = [
        ("report",), ("show",), ("show", "0"), ("list",), ("best",), ("best", "--as", "python"),
        ("best", "--as", "notebook"), ("best", "--as", "yaml"), ("best", "--json"), ("show", "--json"),
        ("export", "--optuna", "sqlite:///study.db"),
    ]  # fmt: skip
    for words in asked:
        done = vbench(*words, check=0)
        said += [done.stdout, done.stderr]
    _nothing_in(counts, vbench, *said)


@fault(
    "security",
    "an engine's exception with its whole environment in it",
    "The failure's evidence, advice and log hide each secret; the rest of the message is readable.",
)
@pytest.mark.parametrize("phase", ["load", "pass"])
def test_an_exception_with_secrets(
    vbench: Vbench, counts: Counts, tmp_path: Path, outside: dict[str, str], phase: str
) -> None:
    file = _sweep_file(
        tmp_path, f"engine_args: {{fail: raise_environment@{phase}}}\nenvironment: {{A_TOKEN: {PLANT}-4}}\n"
    )
    ran = vbench("run", file, "--json", check=1, **outside)
    shown = vbench("show", "0", check=0)
    assert "A_TOKEN" in (vbench.run("small-run") / "logs" / "0000.log").read_text()
    _nothing_in(counts, vbench, ran.stdout, ran.stderr, shown.stdout)


@fault(
    "security",
    "what an engine says of a request: a URL's password, a query's token, an `Authorization` header",
    "Hidden by their look, where nobody named them as secrets.",
)
def test_what_looks_like_a_secret(vbench: Vbench, counts: Counts, tmp_path: Path) -> None:
    counts.tried(5)
    for number, kind in enumerate(("print", "raise")):
        file = _sweep_file(tmp_path, f"engine_args:\n  fail: '{kind}={_MORE}@load'\n")
        ran = vbench("run", file)
        assert ran.returncode == number
        _nothing_in(counts, vbench, ran.stdout, ran.stderr)


@fault("security", "vbench killed while a log holds a secret", "The next session hides it before it starts a trial.")
def test_a_log_that_a_killed_vbench_left(
    vbench: Vbench, counts: Counts, tmp_path: Path, outside: dict[str, str]
) -> None:
    file = _sweep_file(tmp_path, "engine_args: {fail: print_environment@load, sleep_scale: 10000}\n")
    environment = {**vbench.environment(), **outside}
    first = _start(vbench, file, environment)
    (log,) = wait_for(lambda: _holding(vbench), "the log with the secret")
    first.kill()
    first.communicate()
    assert PLANT in log.read_text()
    second = _start(vbench, file, environment)
    wait_for(lambda: log.read_text().count("AWS_SECRET_ACCESS_KEY=") > 1, "the second attempt")
    before = log.read_text().partition("environ(")[2].partition("environ(")[0]
    counts.secrets(before, PLANT)
    second.send_signal(signal.SIGINT)
    said = second.communicate()
    assert second.returncode == 130
    _nothing_in(counts, vbench, *said)


def _start(vbench: Vbench, file: Path, environment: Mapping[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, "sweep", file, *words], cwd=vbench.folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _holding(vbench: Vbench) -> list[Path]:
    logs = vbench.folder.glob("results/small/*/logs/0000.log")
    return [path for path in logs if f"SIGNING_KEY={PLANT}" in path.read_text()]


@fault(
    "security",
    "a sweep with a secret in `--set` is interrupted",
    "The command that goes on is printed without it; no process of ours has a secret among its arguments.",
)
def test_interrupted_and_in_no_arguments(
    vbench: Vbench, counts: Counts, tmp_path: Path, outside: dict[str, str]
) -> None:
    file = _sweep_file(tmp_path, f"environment: {{A_TOKEN: {PLANT}-5}}\nengine_args: {{sleep_scale: 10000}}\n")
    environment = {**vbench.environment(), **outside}
    process = _start(vbench, file, environment, "--set", f"hf_token={PLANT}-set")
    wait_for(lambda: list(vbench.folder.glob("results/small/*/logs/0000.log")), "a trial")
    for pid in wait_for(lambda: list(_below(process.pid)), "its processes"):
        counts.secrets(Path(f"/proc/{pid}/cmdline").read_bytes(), PLANT)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert "--set 'hf_token=***'" in err
    _nothing_in(counts, vbench, out, err)


def _below(pid: int) -> Iterator[int]:
    for entry in os.listdir("/proc"):
        try:
            stat = Path("/proc", entry, "stat").read_text() if entry.isdigit() else ""
        except OSError:
            continue
        if stat and int(stat.rpartition(")")[2].split()[1]) == pid:
            yield int(entry)
            yield from _below(int(entry))


@fault(
    "security",
    "mistakes in a sweep file beside a secret, with and without `--debug`",
    "The message names the line and not the secret; so does a traceback.",
)
@pytest.mark.parametrize(
    "text",
    [
        "parameters: {{environment.HF_TOKEN: [{0}, {0}]}}\n", "parameters: {{hf_token: [{0}, {0}-b]}}\n",
        "engine_args: {{hf_token: {{low: {0}, high: 2}}}}\n", "environment: {{API_KEY: [{0}]}}\n",
        "objective: 'https://u:{0}@h'\n", "password: {0}\n", "environment: {{API_KEY: {0}}}\nsearch: {{method: {0}}}\n",
        "engine_args: {{api_key: {0}: x}}\n", "parameters: {{model: [{0}x, 'https://u:{0}@h/m']}}\n",
    ],
)  # fmt: skip
def test_mistakes_beside_a_secret(vbench: Vbench, counts: Counts, tmp_path: Path, text: str) -> None:
    file = _sweep_file(tmp_path, text.format(f"{PLANT}-6"))
    for words in ((), ("--debug",)):
        done = vbench("sweep", file, *words)
        assert done.returncode in (1, 2)
        assert "small.yaml" in done.stderr
        _nothing_in(counts, vbench, done.stdout, done.stderr)


@fault(
    "security",
    "a run whose engine arguments hold a secret is measured again",
    "Refused with what to do: `***` is never passed to an engine as if it were the secret.",
)
def test_measured_again(vbench: Vbench, counts: Counts, tmp_path: Path) -> None:
    file = _sweep_file(tmp_path, f"engine_args: {{hf_token: {PLANT}-7}}\n")
    vbench("run", file, check=0)
    vbench("run", file, "--set", "seed=2", check=0)
    names = [f"small-run/{run.name}" for run in vbench.runs("small-run")]
    done = vbench("compare", *names, "--again")
    assert done.returncode == 2
    assert "hf_token holds a secret" in " ".join(done.stderr.split())
    _nothing_in(counts, vbench, done.stdout, done.stderr)


@fault("security", "a renewed token", "It is the same sweep: the run is gone on with.")
def test_a_renewed_token_goes_on(vbench: Vbench, counts: Counts, tmp_path: Path) -> None:
    for number in range(2):
        file = _sweep_file(
            tmp_path, f"environment: {{A_TOKEN: {PLANT}-{number}}}\nengine_args: {{hf_token: {PLANT}{number}}}\n"
        )
        vbench("sweep", file, check=0)
    counts.records(vbench.run(), 1)
    _nothing_in(counts, vbench)
