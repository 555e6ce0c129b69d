"""A sweep file's text with its secrets hidden, and still the YAML that it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from vbench.records.redaction import HIDDEN, clean
from vbench.records.secret_names import is_secret
from vbench.spec.yaml_lines import nodes_of

Replaced = tuple[tuple[int, int], str]
"""From where to where, and by what."""
_SHOWN = f'"{HIDDEN}"'
_ANCHOR = re.compile(r"&\S+\s+")
_MAX_CHARS = 1024**2
# Of a text that is no YAML: a variable on a line of its own, or within braces.
_ON_A_LINE = re.compile(r"""(?m)^([ \t]*(?:- )?["']?([\w.-]+)["']?[ \t]*:[ \t]*)(\S.*)$""")
_IN_BRACES = re.compile(
    r"""([{,][ \t]*["']?([\w.-]+)["']?[ \t]*:[ \t]*)("[^"\n]*"|'[^'\n]*'|\[[^\]\n]{0,2000}\]|[^\s,}\]][^,}\]\n]*)"""
)


def text_without_secrets(text: str) -> str:
    """A sweep file's text, or a part of one: values under a secret's name hidden, wherever and however they are
    written, and so is what looks like a secret elsewhere, in a comment too.

    >>> text_without_secrets("environment: {HF_TOKEN: hf_abc, A: b}")
    'environment: {HF_TOKEN: "***", A: b}'
    """
    spans = _spans(text)
    if spans is None:
        for pattern in (_ON_A_LINE, _IN_BRACES):
            text = pattern.sub(_hidden, text)
        return clean(text)
    for begin, end, shown in reversed(spans):
        text = text[:begin] + shown + text[end:]
    return clean(text)


def shown_override(override: str) -> str:
    """A `--set` value, or the like, as it may be shown.

    >>> shown_override("hf_token=hf_abc"), shown_override("max_num_seqs=4")
    ('hf_token=***', 'max_num_seqs=4')
    """
    key, equals, value = override.partition("=")
    if equals and is_secret(key.strip(), value.strip()):
        return f"{key}{equals}{HIDDEN}"
    return f"{clean(key)}{equals}{text_without_secrets(value)}" if equals else clean(override)


def stored_override(override: str) -> str:
    """As a run keeps it: of environment variables none, for they may hold tokens under any name."""
    key, equals, _ = override.partition("=")
    return f"{key}{equals}{HIDDEN}" if "environment" in key.strip().split(".")[:2] else shown_override(override)


def _hidden(found: re.Match[str]) -> str:
    return found[1] + _SHOWN if is_secret(found[2], found[3].strip("\"' ")) and found[3] != _SHOWN else found[0]


def _spans(text: str) -> list[tuple[int, int, str]] | None:
    """What is to be replaced, in order; None where the text can't be read as YAML."""
    root = nodes_of(text) if len(text) <= _MAX_CHARS else None
    if root is None:
        return None
    found = dict(_within(root, is_hidden=False, seen=set()))
    return [(*_place(text, begin, end), shown) for (begin, end), shown in sorted(found.items())]


def _place(text: str, begin: int, end: int) -> tuple[int, int]:
    """Of the value itself: an anchor before it stays, and so does the line break that ends a block."""
    anchor = _ANCHOR.match(text, begin, end)
    begin = begin if anchor is None else anchor.end()
    return begin, begin + len(text[begin:end].rstrip())


def _within(node: Any, *, is_hidden: bool, seen: set[tuple[int, bool]]) -> Iterator[Replaced]:
    if (id(node), is_hidden) in seen:  # an alias
        return
    seen.add((id(node), is_hidden))
    if node.id == "mapping":
        for key, value in node.value:
            name = key.value if key.id == "scalar" else ""
            written = value.value if value.id == "scalar" else "x"
            is_own = is_hidden or (written != HIDDEN and is_secret(name, written))
            yield from _within(key, is_hidden=False, seen=seen)
            yield from _within(value, is_hidden=is_own, seen=seen)
    elif node.id == "sequence":
        for one in node.value:
            yield from _within(one, is_hidden=is_hidden, seen=seen)
    elif node.id == "scalar":
        shown = HIDDEN if is_hidden and node.value else clean(node.value)
        if shown != node.value:
            yield (node.start_mark.index, node.end_mark.index), json.dumps(shown, ensure_ascii=False)
