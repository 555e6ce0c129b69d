"""`vbench plan` for a terminal: what would be tried, what can't run and why, and a line that sums it up."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vbench.planner.verdict import Verdict
from vbench.report.text import MISSING, printable, shorten, show_value
from vbench.spec.calling import SHAPE_PREFIX
from vbench.spec.config import displayed_path
from vbench.sweep.forecast import Forecast, Planned
from vbench.units import format_bytes, format_duration

_ORDER = {Verdict.FITS: 0, Verdict.UNCERTAIN: 1}
_STYLES = {Verdict.FITS: "green", Verdict.UNCERTAIN: "yellow", Verdict.INFEASIBLE: "red", Verdict.UNSUPPORTED: "red"}
_LEGEND = (
    "KV tokens: tokens of context that the KV cache holds in all. At once: requests of the longest length "
    "(max_model_len) that run at the same time. Needs: weights, overhead and one such request, of what the engine may "
    "take of each GPU."
)
_MOST_EXAMPLES = 2


def forecast_view(made: Forecast, limit: int) -> RenderableType:
    """The tables, the useful first; at most `limit` rows each."""
    parts: list[RenderableType] = [_heading(made)]
    parts += [Text(f"note: {note}", style="yellow") for note in made.notes]
    tried = sorted((one for one in made.configurations if one.plan.verdict.is_tried), key=_usefulness)
    if tried:
        groups = _alike(tried)
        parts += [Text(), _tried_table(groups[:limit], made.budget.is_cpu), *_more(len(groups), limit)]
        parts.append(Text(_LEGEND, style="dim"))
    refused = _by_reason([one for one in made.configurations if not one.plan.verdict.is_tried])
    if refused:
        parts += [Text(), _refused_table(refused[:limit]), *_more(len(refused), limit)]
    warnings = list(dict.fromkeys(warning for one in tried for warning in one.plan.warnings))
    parts += [Text(f"warning: {printable(warning)}", style="yellow") for warning in warnings[:_MOST_EXAMPLES]]
    parts += [Text(f"assumed: {printable(said)}", style="yellow") for said in made.assumptions]
    return Group(*parts, Text(), *_summary(made))


def _heading(made: Forecast) -> Text:
    budget = made.budget
    gpus = "GPU of" if budget.num_gpus == 1 else "GPUs, each of"
    where = "this machine's processor and RAM," if budget.is_cpu else f"{budget.name}: {budget.num_gpus} {gpus}"
    name = printable(displayed_path(made.spec.model))
    model = made.model_origin if name.startswith(SHAPE_PREFIX) else f"{name} ({made.model_origin})"
    return Text.assemble(
        ("plan of ", "bold"), (printable(made.spec.name), "bold"),
        f": {model} on {where} {format_bytes(budget.visible_bytes)}, {printable(made.engine)}; "
        f"quantization floors: {printable(made.floors)}",
    )  # fmt: skip


def _usefulness(one: Planned) -> tuple[int, int]:
    tokens = one.plan.per_gpu.kv_tokens if one.plan.per_gpu is not None else 0
    return _ORDER[one.plan.verdict], -tokens


def _alike(tried: Sequence[Planned]) -> list[list[Planned]]:
    """Configurations that the planner can't tell apart, in one row: a number of draft tokens changes no byte."""
    groups: dict[object, list[Planned]] = {}
    for one in tried:
        plan = one.plan
        key = (plan.verdict, plan.per_gpu, plan.max_model_len, plan.concurrency, plan.reason)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _tried_table(groups: Sequence[Sequence[Planned]], is_cpu: bool) -> Table:
    table = Table(title="Would be tried", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("Verdict", no_wrap=True)
    table.add_column("How many", justify="right", no_wrap=True)
    table.add_column("Settings", ratio=1)
    for name in ("Weights", "KV tokens", "At once", "Needs" if is_cpu else "Needs per GPU"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Note", max_width=34)
    for group in groups:
        plan, numbers = group[0].plan, group[0].plan.per_gpu
        cells = [MISSING] * 4
        if numbers is not None:
            at_once = MISSING if plan.concurrency is None else f"{plan.concurrency:.1f} × {plan.max_model_len:,}"
            needs = f"{format_bytes(numbers.total_bytes)} of {format_bytes(numbers.budget_bytes)}"
            cells = [format_bytes(numbers.weights_bytes), f"{numbers.kv_tokens:,}", at_once, needs]
        note = plan.reason if plan.verdict is Verdict.UNCERTAIN else ""
        verdict = Text(plan.verdict.value, style=_STYLES[plan.verdict])
        table.add_row(verdict, str(len(group)), Text(_settings(*group)), *cells, Text(printable(note), style="dim"))
    return table


def _by_reason(refused: Sequence[Planned]) -> list[list[Planned]]:
    """Configurations refused in the same words or that the same settings would help, the most first; in each the one
    that is least short leads."""
    groups: dict[tuple[str, object], list[Planned]] = {}
    for one in refused:
        groups.setdefault((one.plan.verdict.value, one.plan.remedies or one.plan.reason), []).append(one)
    for group in groups.values():
        group.sort(key=lambda one: -(one.plan.margin_bytes or 0))
    return sorted(groups.values(), key=lambda group: -len(group))


def _refused_table(groups: Sequence[Sequence[Planned]]) -> Table:
    title = "Can't run, and what would"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("Verdict", no_wrap=True)
    table.add_column("How many", justify="right", no_wrap=True)
    table.add_column("Why (of the one least short), and the nearest settings that would do", ratio=3)
    table.add_column("Such as", ratio=2)
    for group in groups:
        verdict = group[0].plan.verdict
        examples = shorten(_settings(group[0]), 120)
        reason = Text(printable(group[0].plan.reason))
        table.add_row(Text(verdict.value, style=_STYLES[verdict]), str(len(group)), reason, Text(examples, style="dim"))
    return table


def _settings(*alike: Planned) -> str:
    """`max_num_seqs=16 quantization=awq|gptq`: the chosen parameters, with every value that those alike have."""
    values: dict[str, dict[str, None]] = {}
    for one in alike:
        for name, value in (one.point.parameters or one.point.settings).items():
            values.setdefault(name.rpartition(".")[2], {})[show_value(value)] = None
    words = [f"{name}={'|'.join(seen)}" for name, seen in values.items()]
    return printable(" ".join(words) or "the file's own arguments")


def _more(count: int, limit: int) -> list[RenderableType]:
    return [Text(f"… and {count - limit:,} more: --limit {count}", style="dim")] if count > limit else []


def _summary(made: Forecast) -> list[RenderableType]:
    counts = dict.fromkeys(Verdict, 0)
    for one in made.configurations:
        counts[one.plan.verdict] += 1
    total = len(made.configurations)
    said = Text.assemble(
        (f"{total:,} configuration{'s' if total != 1 else ''}: ", "bold"),
        (f"{counts[Verdict.FITS]:,} fit", "green"), ", ",
        (f"{counts[Verdict.UNCERTAIN]:,} uncertain (tried)", "yellow"), ", ",
        (f"{counts[Verdict.INFEASIBLE]:,} can't fit", "red"), ", ",
        (f"{counts[Verdict.UNSUPPORTED]:,} unsupported", "red"),
    )  # fmt: skip
    lines: list[RenderableType] = [said]
    if made.typical_trial_s is not None and made.num_trials:
        each = format_duration(made.typical_trial_s)
        whole = format_duration(made.num_trials * made.typical_trial_s)
        lines.append(Text(f"{made.num_trials} trials may take about {whole}: earlier ones took {each} each (median)"))
    return lines
