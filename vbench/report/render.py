"""A page as HTML and as Markdown. Every kind of block is written by the templates; nothing here knows a section."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vbench.report.page import Page
from vbench.report.pictures import Drawn
from vbench.report.text import escape_markdown, fence_markdown, printable


def render_html(page: Page, drawn: Mapping[str, Drawn]) -> str:
    """The whole page as one file: nothing is fetched."""
    return _environment(_html_text).get_template("report.html.j2").render(page=page, drawn=drawn)


def render_markdown(page: Page, drawn: Mapping[str, Drawn]) -> str:
    """The same for a code host; plots are linked from `plots/`."""
    return _environment(escape_markdown).get_template("report.md.j2").render(page=page, drawn=drawn)


def _environment(finalize: Callable[[Any], Any]) -> Environment:
    environment = Environment(
        loader=PackageLoader("vbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["fence"] = fence_markdown
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment


def _html_text(value: Any) -> Any:
    """Runs before autoescape: what is shown is printable whatever it came from."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)
