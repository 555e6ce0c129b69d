"""What the tables of this folder have in common."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vbench.analysis.paired import Ratio

HERE = Path(__file__).parent
Figures = dict[str, Any]


def parser_of(doc: str | None, name: str) -> argparse.ArgumentParser:
    """A parser with `--out`, by default the table beside the module."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / f"{name}.md", help="where the table is written")
    return parser


def finish(out: Path, lines: Sequence[str], figures: Figures, say: Callable[[str], None] = print) -> None:
    """Write the table, say it, and say the figures as the last line."""
    text = "\n".join(lines) + "\n"
    out.write_text(text, encoding="utf-8")
    say(text)
    say(json.dumps(figures))


def as_dict(ratio: Ratio, pairs: int) -> dict[str, Any]:
    """A ratio and its interval for JSON."""
    return {
        "ratio": round(ratio.ratio, 4), "low": round(ratio.low, 4), "high": round(ratio.high, 4), "pairs": pairs,
    }  # fmt: skip


def in_words(found: Mapping[str, Any]) -> str:
    """`1.003 (0.991 to 1.014)`."""
    return f"{found['ratio']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
