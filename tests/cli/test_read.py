"""`list`, `show`, `best`, `report`, `schema`: what they say of a small run."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import BASE, COMMAND, DEADLINE_S, Vbench, records_of
from tests.cli.terminal import Terminal
from tests.records.builders import make_run
from tests.report.search_builders import make_search_records


def best_of(vbench: Vbench) -> dict[str, Any]:
    return max(records_of(vbench.run()), key=lambda record: record["measurements"]["output_throughput_tok_s"])


def test_list_names_the_run_its_status_and_its_best(small_run: Vbench) -> None:
    lines = small_run("list", check=0).stdout.splitlines()
    assert lines[0].split()[:6] == ["Run", "Status", "Search", "Trials", "Completed", "Best"]
    words = lines[1].split()
    assert words[:5] == [f"small/{small_run.run().name}", "finished", "5/5", "5", "5"]
    assert words[6:8] == ["tok/s", "(fake)"]


def test_the_list_counts_every_trial_once(tmp_path: Path) -> None:
    records = make_search_records()
    make_run(tmp_path / "results", records, num_trials_planned=16)
    vbench = Vbench(tmp_path)
    (facts,) = map(json.loads, vbench("list", "--json", check=0).stdout.splitlines())
    assert facts["num_trials"] == len(records) == sum(facts["counts"].values())
    assert facts["counts"] == {"completed": 15, "pruned": 4, "failed": 1, "interrupted": 0, "refused": 1}
    assert (facts["mark"], facts["best_trial"]) == (None, 9)
    heading, line = vbench("list", check=0).stdout.splitlines()
    shown = dict(zip(heading.split(), line.split(), strict=False))
    assert {name: shown[name] for name in ("Trials", "Completed", "Pruned", "Failed", "Refused")} == {
        "Trials": "21", "Completed": "15", "Pruned": "4", "Failed": "1", "Refused": "1"
    }  # fmt: skip


def test_json_of_a_list_holds_what_cannot_be_read_too(vbench: Vbench) -> None:
    assert vbench("list", "--json", check=0).stdout == ""
    broken = vbench.folder / "results" / "other" / "20260101-000000"
    (broken / "trials.jsonl").mkdir(parents=True)
    (broken / "run.json").write_text("{")
    (facts,) = map(json.loads, vbench("list", "--json", check=0).stdout.splitlines())
    assert (facts["run"], facts["status"]) == ("other/20260101-000000", "unreadable")
    assert facts["num_trials"] is facts["counts"] is facts["best_value"] is None


def test_show_has_json_of_a_run_and_of_a_trial(small_run: Vbench) -> None:
    records = records_of(small_run.run())
    first, *rest = map(json.loads, small_run("show", "small", "--json", check=0).stdout.splitlines())
    assert first["run"] == f"small/{small_run.run().name}"
    assert first["best_trial"] == best_of(small_run)["trial"]
    assert rest == records
    assert json.loads(small_run("show", "2", "--json", check=0).stdout) == records[2]


def test_show_says_where_files_are_and_which_are_not_kept(tmp_path: Path) -> None:
    run = make_run(tmp_path / "results", make_search_records()[:2])
    output = Vbench(tmp_path)("show", "demo", "0", check=0).stdout
    lines = [line.split() for line in output.splitlines()]
    assert ["record", f"results/demo/{run.run_id}/trials.jsonl"] in lines
    assert ["log", "not", "kept"] in lines
    assert ["samples", "not", "kept"] in lines
    assert "last lines" not in output


@pytest.mark.parametrize("columns", [50, 80, 120])
def test_list_fits_the_terminal_and_cuts_no_name(small_run: Vbench, columns: int) -> None:
    terminal = Terminal(small_run, "list", columns=columns)
    assert terminal.end() == 0
    assert max(map(len, terminal.text.splitlines())) <= columns
    assert ("Created" in terminal.text) == (columns == 120)
    assert f"small/{small_run.run().name}" in terminal.text.split()


def test_list_without_runs_says_how_to_begin(vbench: Vbench) -> None:
    done = vbench("list", check=0)
    assert "vbench sweep FILE" in done.stdout


def test_list_survives_a_run_that_cannot_be_read(vbench: Vbench) -> None:
    broken = vbench.folder / "results" / "other" / "20260101-000000"
    (broken / "trials.jsonl").mkdir(parents=True)
    (broken / "run.json").write_text("{")
    assert "unreadable" in vbench("list", check=0).stdout


def test_show_has_a_line_for_each_trial_and_the_answer(small_run: Vbench) -> None:
    output = small_run("show", "small", check=0).stdout
    for trial in range(5):
        assert any(line.split()[:1] == [str(trial)] for line in output.splitlines())
    assert "vllm serve org/name" in output
    assert f"Trial {best_of(small_run)['trial']} is the best of 5" in output


@pytest.mark.parametrize("words", [["small", "1"], ["1"]])
def test_show_of_a_trial_has_its_settings_measurements_and_log(small_run: Vbench, words: list[str]) -> None:
    output = small_run("show", *words, check=0).stdout
    record = records_of(small_run.run())[1]
    assert "Trial 1: completed" in output
    for name, value in record["parameters"].items():
        assert any(line.split() == [name, str(value)] for line in output.splitlines()), name
    assert "Output throughput" in output
    assert "0001.log" in output


def test_show_prints_the_end_of_a_log_without_its_control_codes(vbench: Vbench) -> None:
    vbench("run", vbench.write(f"{BASE}engine_args: {{fail: exception}}\n"), check=1)
    run = vbench.run("small-run")
    with (run / "logs" / "0000.log").open("a") as log:
        log.write("one\ntwo \x1b[31mred\x1b[0m \x07\n")
    output = vbench("show", "small-run", "0", "--log-lines", "1", check=0).stdout
    assert output.splitlines()[-1] == "  two red \ufffd"
    assert "told to fail" in output


@pytest.mark.parametrize("run", ["", "small", "RUN_ID", "small/RUN_ID", "results/small/RUN_ID"])
def test_a_run_is_found_by_any_of_its_names(small_run: Vbench, run: str) -> None:
    words = [run.replace("RUN_ID", small_run.run().name)] if run else []
    assert "\nvllm serve org/name" in "\n" + small_run("best", *words, check=0).stdout


def test_best_as_a_shell_command_parses_as_one(small_run: Vbench) -> None:
    command = small_run("best", check=0).stdout
    assert subprocess.run(["bash", "-n", "-c", command], check=False).returncode == 0


def test_best_as_python_is_python_with_its_settings(small_run: Vbench) -> None:
    code = small_run("best", "--as", "python", check=0).stdout
    compile(code, "best.py", "exec")
    assert all(f"{name}={value}" in code for name, value in best_of(small_run)["parameters"].items())


def test_best_as_a_notebook_is_one(small_run: Vbench) -> None:
    notebook = json.loads(small_run("best", "--as", "notebook", check=0).stdout)
    assert notebook["nbformat"] == 4
    assert any("llm = LLM(" in "".join(cell["source"]) for cell in notebook["cells"])


def test_best_as_json_is_the_line_of_the_file(small_run: Vbench) -> None:
    output = small_run("best", "--as", "json", check=0).stdout
    assert json.loads(output) == best_of(small_run)
    assert output.count("\n") == 1


def test_best_as_yaml_runs_as_a_sweep_file(small_run: Vbench, vbench: Vbench) -> None:
    yaml = small_run("best", "--as", "yaml", check=0).stdout
    text = f"name: again\nprompts: {{synthetic: {{count: 4, input_tokens: 8}}, output_tokens: 8}}\n{yaml}"
    vbench("sweep", vbench.write(text), check=0)
    (record,) = records_of(vbench.run("again"))
    best = best_of(small_run)
    assert record["config"] == best["config"]
    metric = "output_throughput_tok_s"
    assert record["measurements"][metric] == best["measurements"][metric]


def test_best_of_a_run_where_all_failed_is_exit_code_1(vbench: Vbench) -> None:
    vbench("sweep", vbench.write(f"{BASE}engine_args: {{fail: oom}}\n"), check=1)
    done = vbench("best", check=1)
    assert done.stdout == ""
    assert "the one trial of small/" in done.stderr
    assert "vbench show small/" in done.stderr


def test_report_names_the_files_that_it_made(small_run: Vbench, tmp_path: Path) -> None:
    done = small_run("report", "small", "--out", tmp_path, check=0)
    paths = [Path(line) for line in done.stdout.splitlines()]
    assert [path.suffix for path in paths] == [".html", ".md", ".csv", ".parquet"]
    assert all(path.is_file() for path in paths)
    assert not (small_run.folder / "reports").exists()


def test_schema_is_json_schema(vbench: Vbench) -> None:
    schema = json.loads(vbench("schema", check=0).stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"model", "parameters", "search"} <= schema["properties"].keys()


@pytest.mark.parametrize(
    "words", [["list"], ["show"], ["show", "0"], ["best"], ["best", "--as", "json"], ["schema"], ["--help"]]
)
def test_a_reader_that_has_gone_is_no_error(small_run: Vbench, words: list[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [COMMAND, *words], cwd=small_run.folder, env=small_run.environment(), stdout=write_end,
            stderr=subprocess.PIPE, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
    finally:
        os.close(write_end)
    assert done.stderr == ""
    assert done.returncode in (0, 1 if words == ["--help"] else 0)  # help is typer's to print


def test_a_sweep_whose_reader_has_gone_stops_and_can_go_on(vbench: Vbench) -> None:
    path = vbench.write(f"{BASE}parameters: {{max_num_seqs: [1, 2, 4]}}\nsearch: {{method: grid}}\n")
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [COMMAND, "sweep", path, "--json"], cwd=vbench.folder, env=vbench.environment(), stdout=write_end,
        stderr=subprocess.PIPE, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    os.close(write_end)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1].endswith("Go on with: vbench sweep small.yaml")
    assert "Traceback" not in done.stderr
    vbench("sweep", path, check=0)
    assert [record["trial"] for record in records_of(vbench.run())] == [0, 1, 2]
