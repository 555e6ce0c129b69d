"""Where what is pasted says that it comes from."""

from __future__ import annotations

from pathlib import Path

from tests.records.builders import make_record, make_run
from vbench.analysis.token_work import has_drawn_lengths
from vbench.records.record import TrialRecord
from vbench.report.contents import read_run
from vbench.report.provenance import provenance_of
from vbench.report.recipes import as_serve, as_yaml
from vbench.report.recipes_python import as_python
from vbench.report.tables import prompt_sets_table


def asked(tokens: int | list[int] | None) -> TrialRecord:
    record = make_record(3)
    passes = [
        one.model_copy(update={"requests": one.requests.model_copy(update={"asked_tokens": tokens})})
        for one in record.passes
    ]
    return record.model_copy(update={"passes": passes})


def test_lengths_that_were_drawn_are_not_called_each() -> None:
    assert has_drawn_lengths(asked([20, 100])) is True
    assert has_drawn_lengths(asked([100, 100])) is False
    assert has_drawn_lengths(asked(100)) is False
    assert has_drawn_lengths(asked(None)) is None


def test_they_are_up_to_the_most_of_them_wherever_they_stand(tmp_path: Path) -> None:
    for tokens, first, note in (
        (100, "10 prompts of prompts/ten.jsonl, 100 tokens each", "exactly 100 tokens each"),
        ([20, 100], "10 prompts of prompts/ten.jsonl, up to 100 tokens each", "exact lengths of up to 100 tokens each"),
    ):
        record = asked(tokens)
        folder = make_run(tmp_path / first[-25:].replace(" ", "-"), [record])
        origin = provenance_of(record, folder, read_run(folder))
        assert first in origin.lines[0]
        assert f"# measured with {note}: ignore_eos=True" in as_python(record.config, origin)
    failed = make_record(4, None)
    (row,) = prompt_sets_table([failed, asked([20, 100])]).rows
    assert row.cells[2] == "up to 100"


FACTS = {"max_num_seqs": 256, "max_num_batched_tokens": 8192}


def pasted(folder: Path, config: dict[str, object], **facts: object) -> tuple[str, str, str]:
    record = make_record(0, config=config, engine_facts={**FACTS, **facts})
    run = make_run(folder, [record])
    origin = provenance_of(record, run, read_run(run))
    return as_serve(config, origin), as_python(config, origin), as_yaml(config, origin)


def test_limits_that_were_left_to_the_engine_are_kept_in_another_way_of_calling(tmp_path: Path) -> None:
    serve, python, plain = pasted(tmp_path / "a", {"model": "m", "max_num_seqs": 64})
    assert "--max-num-batched-tokens 8192" in serve
    assert "# max_num_batched_tokens: as the engine chose, measured offline; a server’s defaults are others" in serve
    assert serve.count("--max-num-seqs") == 1
    assert "8192" not in python + plain  # there the engine chooses as it did
    serve, python, _ = pasted(tmp_path / "b", {"model": "m", "mode": "server"})
    assert "8192" not in serve
    assert "max_num_seqs=256," in python
    assert "max_num_batched_tokens=8192," in python
    assert "measured server; LLM’s defaults are others" in python
    serve, python, _ = pasted(tmp_path / "c", {"model": "m", "mode": "async"}, max_num_seqs=None)
    assert ("8192" in serve, "8192" in python, "max-num-seqs" in serve) == (True, True, False)
