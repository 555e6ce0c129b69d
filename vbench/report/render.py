"""A page as HTML and as Markdown. Every kind of block is written by the templates; nothing here knows a section."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from vbench.report import units_of_use
from vbench.report.blocks import Calculator
from vbench.report.links import without_dead_links
from vbench.report.page import Page
from vbench.report.pictures import Drawn
from vbench.report.plot_theme import plot_css
from vbench.report.text import (
    NOT_MEASURED,
    escape_markdown,
    fence_markdown,
    printable,
    spans_in_html,
    spans_in_markdown,
)
from vbench.units import format_duration, format_number

SCRIPTS = ("tables.js", "copy.js", "calculator.js", "shell.js")


def render_html(page: Page, drawn: Mapping[str, Drawn]) -> str:
    """The whole page as one file: nothing is fetched, and no script runs but vbench's own."""
    script = page_script()
    template = _environment(_html_text, spans_in_html).get_template("report.html.j2")
    return without_dead_links(template.render(page=page, drawn=drawn, script=script, script_hash=hash_of(script)))


def page_script() -> Markup:
    """The page's one script: vbench's own files and nothing else, so that its hash allows it and only it."""
    folder = resources.files("vbench.report") / "templates"
    parts = [(folder / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return Markup('(() => {\n"use strict";\n' + "".join(parts) + "})();\n")  # noqa: S704 -- our own files


def hash_of(script: str) -> str:
    """As a content security policy names a script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def render_markdown(page: Page, drawn: Mapping[str, Drawn]) -> str:
    """The same for a code host; plots are linked from `plots/`."""
    return _environment(escape_markdown, spans_in_markdown).get_template("report.md.j2").render(page=page, drawn=drawn)


def _environment(finalize: Callable[[Any], Any], spans: Callable[[str], Markup]) -> Environment:
    environment = Environment(
        loader=PackageLoader("vbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["plot_css"] = Markup(plot_css())  # noqa: S704 -- our own colours
    environment.filters["fence"] = fence_markdown
    environment.filters["spans"] = spans
    environment.filters["key"] = _key
    environment.filters["uses"] = _uses
    environment.filters["breakable"] = _breakable
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment


def _html_text(value: Any) -> Any:
    """Runs before autoescape: what is shown is printable whatever it came from."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)


def _breakable(name: str) -> Markup:
    """A heading that may break after a dot or an underscore: names of settings are long, and paper is narrow."""
    return Markup(re.sub(r"(?<=[a-z0-9])([._])(?=[a-z])", r"\1<wbr>", str(escape(printable(name)))))  # noqa: S704 -- escaped


def _key(value: float | str | None) -> str:
    """A number so that a script reads the same one; text as it is; nothing for None."""
    return "" if value is None else value if isinstance(value, str) else f"{value:.12g}"


def _uses(block: Calculator) -> dict[str, str]:
    """A calculator's answers to its defaults: what stands on the page before anyone types, and without script."""
    seconds = units_of_use.seconds_for(block.prompts, block.requests_per_s, block.startup_s)
    samples = units_of_use.samples_per_task(block.hours, block.tasks, block.requests_per_s, block.startup_s)
    startup = "" if block.startup_s is None else f"{format_duration(block.startup_s)} of it start-up"
    joules = block.joules_per_token
    return {
        "prompts": f"{block.prompts:,}",
        "tasks": f"{block.tasks:,}",
        "hours": f"{block.hours:g}",
        "time": format_duration(seconds),
        "startup": startup or "without start-up, which was not measured",
        "samples": format_number(samples),
        "per_hour": format_number(units_of_use.prompts_per_hour(block.requests_per_s)),
        "per_wh": NOT_MEASURED if joules is None else format_number(units_of_use.tokens_per_wh(joules)),
        "energy": "no energy counter of a GPU was read" if joules is None else "the GPUs alone",
    }
