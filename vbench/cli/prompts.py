"""`vbench prompts make|show|freeze`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vbench.cli.options import FLAG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="OUT.jsonl", help="The file to write.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", metavar=FLAG, help="Print one JSON object.")]
Model = Annotated[
    str | None,
    typer.Option("--model", metavar="M", help="Count tokens with the tokenizer of this folder or cached hub id."),
]
Python = Annotated[
    str | None, typer.Option("--python", metavar="PATH", help="Interpreter with transformers, to count tokens in.")
]
Format = Annotated[
    str, typer.Option("--format", metavar="F", help="jsonl, sharegpt or text; auto looks at name and content.")
]
Separator = Annotated[
    str | None, typer.Option("--separator", metavar="LINE", help="The line between two prompts of a text file.")
]


def make(
    output: Output,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="Number of prompts.")] = 64,
    input_tokens: Annotated[
        str, typer.Option("--input-tokens", metavar="LENGTH", help="512, 512±128 (or 512+-128), 256..1024, or 128,1024")
    ] = "512",
    output_tokens: Annotated[
        str | None, typer.Option("--output-tokens", metavar="LENGTH", help="The same; written beside each prompt.")
    ] = None,
    shared_prefix_tokens: Annotated[
        int, typer.Option("--shared-prefix-tokens", metavar="N", min=0, help="First tokens that prompts share.")
    ] = 0,
    shared_prefix_share: Annotated[
        float | None, typer.Option("--shared-prefix-share", metavar="S", help="Instead: a share of each, 0 to 1.")
    ] = None,
    num_prefixes: Annotated[
        int, typer.Option("--num-prefixes", metavar="N", min=1, help="Different prefixes, taken in turn.")
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Another seed, another set.")] = 0,
) -> None:
    """Write a synthetic set of random token ids: the same for a seed on every machine.

    Output lengths are used by a sweep that says `output_tokens: per_prompt`. All about sets: docs/prompts.md.

      vbench prompts make --count 200 --input-tokens 512±128 -o mixed.jsonl
    """
    from vbench.prompts.command import made_items
    from vbench.prompts.freezing import freeze

    recipe = {
        "count": count, "input_tokens": _length(input_tokens), "shared_prefix_tokens": shared_prefix_tokens,
        "shared_prefix_share": shared_prefix_share, "num_prefixes": num_prefixes, "seed": seed,
    }  # fmt: skip
    items, source = made_items(recipe, None if output_tokens is None else _length(output_tokens))
    _say_written(output, freeze(items, output, {"source": source, "format": "synthetic"}))


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Prompts, or a sweep (.yaml).", show_default=False)],
    model: Model = None,
    python: Python = None,
    format_name: Format = "auto",
    separator: Separator = None,
    as_json: AsJson = False,
) -> None:
    """Say what a prompt set is like: number, digest, lengths, what its prompts have in common.

    Tokens are counted where a tokenizer is at hand: that of --model, or of a sweep's own model.

      vbench prompts show sweeps/prompts/arc.jsonl --model models/demo/base
      vbench prompts show sweeps/demo.yaml
    """
    from vbench.prompts.command import opened
    from vbench.prompts.summary import summarize

    found = opened(file, format_name, separator)
    counts, note = found.token_counts(model, python)
    facts = {
        **summarize(found.items, counts), "source": found.source, "format": found.format,
        "notes": [*found.notes, *([note] if note else [])],
    }  # fmt: skip
    if as_json:
        typer.echo(json.dumps(facts, allow_nan=False))
        return
    _print(facts)


def freeze_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Prompts in any format.", show_default=False)],
    output: Output,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="Only the first N.")] = None,
    chat_template: Annotated[
        bool, typer.Option("--chat-template", metavar=FLAG, help="Write plain prompts as user messages.")
    ] = False,
    model: Model = None,
    python: Python = None,
    format_name: Format = "auto",
    separator: Separator = None,
) -> None:
    """Write prompts of any format as canonical JSON Lines, with OUT.meta.json saying what they are.

    Its sha256 goes into a sweep: prompts: {file: OUT.jsonl, sha256: …}. Then no other content is measured by mistake.

      vbench prompts freeze chats.json -o chats.jsonl --limit 200
    """
    from vbench.prompts.command import opened
    from vbench.prompts.freezing import freeze
    from vbench.prompts.summary import spread

    found = opened(file, format_name, separator, limit=limit, chat_template=chat_template)
    counts, note = found.token_counts(model, python)
    facts: dict[str, Any] = {"source": found.source, "format": found.format, "notes": [*found.notes]}
    if counts is not None:
        facts["tokens"] = {"model": model, "each": counts, **spread(counts)}
    meta = freeze(found.items, output, facts)
    for one in (*found.notes, *([note] if note else [])):
        typer.echo(f"note: {one}", err=True)
    _say_written(output, meta)


def _length(text: str) -> object:
    """An option's text as a sweep file has it: 512, {mean, stdev}, {low, high} or {values}."""
    from vbench.errors import UsageError

    words = text.replace(" ", "")
    if words.isdecimal():
        return int(words)
    if found := re.fullmatch(r"(\d+)(?:±|\+-|\+/-)(\d+)", words):
        return {"mean": int(found[1]), "stdev": int(found[2])}
    if found := re.fullmatch(r"(\d+)\.\.(\d+)", words):
        return {"low": int(found[1]), "high": int(found[2])}
    if re.fullmatch(r"\d+(,\d+)+", words):
        return {"values": [int(one) for one in words.split(",")]}
    raise UsageError(f"{text!r} is not a length: write 512, 512±128, 256..1024 or 128,1024")


def _say_written(path: Path, meta: Mapping[str, Any]) -> None:
    typer.echo(f"{path}: {meta['num_prompts']} prompts, sha256 {meta['sha256']}")


def _print(facts: Mapping[str, Any]) -> None:
    from vbench.cli.wording import make_console

    console = make_console(sys.stdout)
    lines = [
        f"{facts['num_prompts']} prompts of kind {facts['kind']} ({facts['format']}), from {facts['source']}",
        f"sha256 {facts['sha256']}",
        f"common beginnings {facts['common_prefix_share']:.1%} · duplicates {facts['duplicates']}",
    ]
    for name, title in (("characters", "characters"), ("tokens", "tokens"), ("output_tokens", "output tokens")):
        if facts[name] is not None:
            lines += ["", *_spread_lines(title, facts[name])]
    lines += ["", *_first_lines(facts["first"]), *(f"note: {one}" for one in facts["notes"])]
    console.print("\n".join(lines), markup=False, highlight=False)


def _first_lines(first: Sequence[str]) -> list[str]:
    return [f"{number}. {text}" for number, text in enumerate(first, start=1)]


def _spread_lines(title: str, spread: Mapping[str, Any]) -> list[str]:
    words = " · ".join(f"{name} {spread[name]:,g}" for name in ("min", "median", "mean", "p95", "max"))
    most = max(one["prompts"] for one in spread["histogram"])
    width = len(f"{spread['max']:,}")
    bars = []
    for one in spread["histogram"]:
        bar = "█" * round(24 * one["prompts"] / most)
        bars.append(f"  {one['from']:>{width},} – {one['to']:>{width},}  {bar:<24} {one['prompts']}")
    return [f"{title}: {words}", *(bars if len(bars) > 1 else [])]
