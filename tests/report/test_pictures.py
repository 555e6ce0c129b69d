"""Drawing a report's plots: the mark on each, several processes, and the same bytes each time."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor
from contextlib import contextmanager
from functools import partial
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from vbench.report import pictures, plots_render, processes
from vbench.report.blocks import Plot
from vbench.report.marks import Mark
from vbench.report.pictures import Drawing, draw_all, draw_one
from vbench.report.plot_parts import legend
from vbench.report.plot_theme import LIGHT, Theme

MARK = Mark(word="emulated", text="emulated t4: memory, not speed", sentences=("x",))


def draw(label: str, theme: Theme) -> Figure:
    figure = Figure(figsize=(4, 2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=theme.accent, label=label)
    legend(figure, axes, theme)
    return figure


def draw_wrong(theme: Theme) -> Figure:
    raise ZeroDivisionError(theme.ink)


def plot_of(name: str, label: str = "a line") -> Plot:
    return Plot(name=name, title=name, caption="", alt=f"{name}: a line", draw=partial(draw, label))


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def test_the_mark_stands_on_every_plot_and_in_the_files_names() -> None:
    plain, marked = draw_one(plot_of("line"), None), draw_one(plot_of("line"), MARK)
    assert (plain.file_stem, marked.file_stem) == ("line", "line-emulated")
    assert MARK.text not in texts(str(plain.svg))
    assert MARK.text in texts(str(marked.svg))
    assert MARK.text in texts(marked.svg_file.decode())
    with Image.open(io.BytesIO(plain.png)) as before, Image.open(io.BytesIO(marked.png)) as after:
        assert after.width == before.width
        strip = after.height - before.height
        assert strip == pytest.approx(plots_render.MARK_IN * 130, abs=2)  # a strip above, at 130 dots an inch
        ink = np.array(after.convert("RGB"))[:strip]
    assert (ink != 255).any()


def test_the_mark_moves_nothing_of_the_plot() -> None:
    def legend_y(svg: str) -> float:
        root = ElementTree.fromstring(svg)
        height = float(root.attrib["viewBox"].split()[3])
        return height - next(float(one.attrib["y"]) for one in root.iter() if one.text == "a line")

    plain, marked = draw_one(plot_of("line"), None), draw_one(plot_of("line"), MARK)
    assert legend_y(str(marked.svg)) == pytest.approx(legend_y(str(plain.svg)), abs=0.02)


def test_a_long_mark_is_shortened_and_hostile_text_is_text() -> None:
    svg = str(draw_one(plot_of("line", "<script>🚀 שלום"), Mark(word="x", text="<b>" * 999, sentences=())).svg)
    assert "<script>🚀 שלום" in texts(svg)
    assert max(len(text) for text in texts(svg)) <= pictures.MAX_MARK


def test_alt_text_is_the_pictures_name() -> None:
    drawn = draw_one(plot_of("line"), None)
    for svg in (str(drawn.svg), drawn.svg_file.decode()):
        assert ElementTree.fromstring(svg).get("aria-label") == "line: a line"


@pytest.fixture
def pool() -> Iterator[Executor]:
    forked = processes._forked()
    assert forked is not None
    with forked:
        yield forked


def test_other_processes_draw_the_same_in_the_same_order(pool: Executor) -> None:
    plots = [plot_of(f"line-{number}", f"line {number}") for number in range(3)]
    drawing = Drawing(pool)
    drawing.begin(reversed(plots), MARK)
    assert all(drawing.result(plot) is not None for plot in plots)
    apart = draw_all(plots, MARK, drawing)
    assert list(apart) == [plot.name for plot in plots]
    assert apart == draw_all(plots, MARK)


def test_what_is_wrong_with_a_plot_comes_up_as_it_is(pool: Executor) -> None:
    wrong, drawing = Plot(name="wrong", title="", caption="", alt="", draw=draw_wrong), Drawing(pool)
    drawing.begin([wrong], None)
    with pytest.raises(ZeroDivisionError):
        draw_all([plot_of("line"), wrong], None, drawing)


def test_a_plot_that_cannot_be_sent_or_was_not_begun_is_drawn_here(pool: Executor) -> None:
    local = Plot(name="local", title="", caption="", alt="", draw=lambda theme: draw("x", theme))
    drawing = Drawing(pool)
    drawing.begin([local], None)
    assert set(draw_all([plot_of("line"), local], None, drawing)) == {"line", "local"}


def test_plots_whose_process_is_gone_are_drawn_here(pool: Executor) -> None:
    before, after, drawing = plot_of("before"), plot_of("after"), Drawing(pool)
    pool.submit(os._exit, 1)
    drawing.begin([before], None)
    assert set(draw_all([before], None, drawing)) == {"before"}
    with pytest.raises(BrokenExecutor):
        pool.submit(os.getpid).result()
    drawing.begin([after], None)
    assert drawing.result(after) is None
    assert set(draw_all([after], None, drawing)) == {"after"}


def test_no_copy_is_made_beside_a_thread_nor_for_nothing() -> None:
    with _thread(), processes.beside() as pool:
        assert not processes.can_fork()
        assert pool is None
    with processes.beside(is_worth=False) as pool:
        assert pool is None


@contextmanager
def _thread() -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_settings_of_matplotlib_hold_only_inside() -> None:
    before = dict(mpl.rcParams)
    with mpl.rc_context({"font.size": 30.0}):
        loud = plots_render.render(partial(draw, "x"))
    assert loud == plots_render.render(partial(draw, "x"))  # not the user's own settings
    assert dict(mpl.rcParams) == before
    assert LIGHT.accent.encode() in loud.svg


def draw_rich(theme: Theme) -> Figure:
    figure = Figure(figsize=(4, 2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.bar([0], [1], facecolor="none", edgecolor=theme.muted, hatch="//")
    right.imshow(np.eye(3))
    return figure


def test_hatches_and_images_are_kept() -> None:
    svg = draw_one(Plot(name="rich", title="", caption="", alt="", draw=draw_rich), None).svg
    root = ElementTree.fromstring(str(svg))
    ids = {one.get("id") for one in root.iter("pattern")}
    assert ids
    assert {f"url(#{one})" for one in ids} <= {one.get("fill") for one in root.iter("path")}
    assert [one.attrib["href"].startswith("data:image/png;base64,") for one in root.iter("image")] == [True]
