"""What a report is made of: sections of blocks. They say what is shown, not how; `render` writes every kind.

A new section is a function in a module of its own, listed in `sections`; no template has to know it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from vbench.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # noqa: TID251 -- for the type checker alone

    from vbench.report.plot_theme import Theme

Tone = Literal["plain", "muted", "aside", "advice", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One number with its name and what to know about it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a section. `count` stands beside it in small print (`3 trials`)."""

    text: str
    count: str = ""


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph of text; nothing in it is markup."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Numbers beside each other. `has_lead`: the first is the one that the page is about."""

    facts: tuple[Fact, ...]
    has_lead: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. `caption` names it to someone who can't see it. `style` is a word of the style sheet (`prose`, `narrow`,
    `settings`, `tight`). `is_interactive`: it can be sorted, filtered and searched."""

    table: Table
    caption: str
    style: str = ""
    is_interactive: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """Text to be copied, or shown as it is. `language` as in Markdown (`sh`, `python`, `yaml`, `text`)."""

    text: str
    language: str = "text"
    label: str = ""
    is_copied: bool = False
    """Whether people paste it: it gets a button that copies it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A plot with the words around it; `alt` says what it shows to someone who can't see it. `name` is that of its file
    and unique on the page. `draw` is called when the page is written, maybe in another process."""

    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[Theme], Figure]


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks that are folded away until someone asks for them."""

    title: str
    blocks: tuple[Block, ...]
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """One of several things that stand beside each other; below each other on a narrow screen."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Sides:
    """Things to choose from, beside each other: the fastest and the safest setting."""

    sides: tuple[Side, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calculator:
    """What the page needs to answer "and how long for mine?" while someone types. Rates are of the best setting; None
    where it wasn't measured. The defaults are what stands in the fields, and what a page without script shows."""

    requests_per_s: float
    output_tokens_per_s: float
    startup_s: float | None
    joules_per_token: float | None
    prompts: int
    tasks: int
    hours: float


Block: TypeAlias = Heading | Prose | Bullets | Facts | Grid | Code | Plot | Fold | Sides | Calculator


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page. `name` is its anchor: lower case, unique on the page, and stable, as people link to it."""

    name: str
    title: str
    blocks: tuple[Block, ...]
    tone: Literal["plain", "problems", "answer"] = "plain"


def blocks_of(*found: Block | Iterable[Block] | None) -> tuple[Block, ...]:
    """The blocks that there are: None, and tables without a row, are left out."""
    flat: list[Block] = []
    for one in found:
        if one is None:
            continue
        flat += list(one) if isinstance(one, Iterable) else [one]
    return tuple(one for one in flat if not (isinstance(one, Grid) and not one.table.rows))


def plots_in(sections: Iterable[Section]) -> list[Plot]:
    """Every plot, in the page's order."""
    return [block for section in sections for block in walk(section.blocks) if isinstance(block, Plot)]


def walk(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks and all that are inside of them."""
    for block in blocks:
        yield block
        if isinstance(block, Fold):
            yield from walk(block.blocks)
        elif isinstance(block, Sides):
            for side in block.sides:
                yield from walk(side.blocks)
