"""YAML text to plain Python values, with the line of every key and list item.

Composes nodes with PyYAML's safe loader and builds the values here, because sweep files want YAML 1.2's scalars: only
`true` and `false` are booleans (so `none`, `on` and `no` stay text), `1e-4` is a number, dates and `1:30` stay text.
Says nothing about what a file means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from vbench.errors import Problem, SpecError
from vbench.spec.scalars import is_clean, plain_scalar

MAX_NODES = 20_000
MAX_DEPTH = 40
MAX_KEY = 500
MAX_CHARACTERS = 8 * 1024**2
"""Of all values, and of their dotted paths, with aliases unfolded: a file is copied and written into every record."""
_HIDDEN_BREAK = re.compile("[\x85\u2028\u2029]")
# What PyYAML says, by its beginning, in words for someone who has never seen a parser.
_IN_PLAIN_WORDS = (
    ("mapping values are not allowed", "a colon is out of place", "quote text that holds ': '; one key a line"),
    ("expected <block end>", "the indentation doesn't match the lines above", "use the same spaces for one level"),
    ("could not find expected ':'", "a key without its colon", "write key: value"),
    ("found unexpected end of stream", "a quote or bracket is never closed", ""),
    ("but found another document", "a second document begins here", "one sweep a file: remove the `---`"),
    ("expected ',' or", "a comma or a closing bracket is missing", ""),
    ("expected the node content", "a value is missing, or out of place", ""),
    ("expected '<document start>'", "something stands behind the end of the file's keys and values", ""),
    ("found character", "a character that can't start a value", "quote the text"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlDocument:
    """A file's mapping as plain values. `lines` goes by dotted path (`parameters.quantization.1.awq.model`), from 1.

    `problems` are those that leave the rest readable: duplicate keys, numbers that aren't."""

    value: dict[str, Any]
    lines: dict[str, int]
    problems: tuple[Problem, ...] = ()


class _Refused(Exception):
    """Reading can't go on."""

    def __init__(self, message: str, line: int | None, hint: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(message=message, line=line, hint=hint)


class _Loader(yaml.SafeLoader):
    """Composes only: plain scalars stay text, tags and deep nesting are refused before a node is made of them."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own class attribute)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._num_nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if getattr(event, "tag", None) is not None:
            raise _Refused(f"tags such as {event.tag!r} are not allowed", line, "quote a value to make it text")
        if self._depth >= MAX_DEPTH:
            raise _Refused(f"nested more than {MAX_DEPTH} levels deep", line)
        self._num_nodes += 1
        if self._num_nodes > MAX_NODES:
            raise _Refused(f"more than {MAX_NODES:,} keys and values: this is not a sweep file", line)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def read_yaml(text: str, source: str) -> YamlDocument:
    """Read a file's text. Raises SpecError where it can't be read at all."""
    try:
        text = text.replace("\r\n", "\n").replace("\r", "\n")  # whatever ends a line in an editor counts as one
        _check_characters(text)
        root = _compose(text)
        if root is None:
            raise _Refused("the file is empty", 1)
        if not isinstance(root, yaml.MappingNode):
            raise _Refused("expected keys and values at the top of the file", _line(root), "begin with model: …")
        builder = _Builder()
        value = builder.build(root, "", 0)
    except _Refused as refused:
        raise SpecError(source, [refused.problem]) from refused
    return YamlDocument(value=value, lines=builder.lines, problems=tuple(builder.problems))


def nodes_of(text: str) -> yaml.Node | None:
    """What a text is made of, each node with its place; None where it can't be read."""
    try:
        return _compose(text)
    except (_Refused, RecursionError):
        return None


def parse_value(text: str) -> Any:
    """A value from a command line: a plain scalar, or quoted text, `[a, b]` or `{a: b}`. Raises ValueError."""
    if not text.strip().startswith(("[", "{", '"', "'")):
        if not is_clean(text):
            raise ValueError("a character that isn't text")
        return plain_scalar(text.strip())
    try:
        _check_characters(text)
        root = _compose(text)
        builder = _Builder()
        value = None if root is None else builder.build(root, "", 0)
    except _Refused as refused:
        raise ValueError(str(refused)) from refused
    if builder.problems:
        raise ValueError(builder.problems[0].message)
    return value


def _check_characters(text: str) -> None:
    for number, line in enumerate(text.split("\n"), start=1):
        if "\0" in line:
            raise _Refused("a NUL byte: this is not a text file", number)
        if "\t" in line[: len(line) - len(line.lstrip())]:
            raise _Refused("a tab in the indentation", number, "YAML wants spaces")
        if hidden := _HIDDEN_BREAK.search(line):
            # PyYAML begins a line here and editors don't: every line number after it would be wrong.
            code = f"{ord(hidden[0]):04X}"
            said = f"a line break that editors don't show (U+{code})"
            raise _Refused(said, number, f'remove it, or write "\\u{code}"')


def _compose(text: str) -> yaml.Node | None:
    try:
        return _Loader(text).get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _Refused(f"a character that isn't text (U+{ord(text[error.position]):04X})", line) from error
    except yaml.MarkedYAMLError as error:
        raise _in_plain_words(error) from error
    except (ValueError, OverflowError) as error:
        # PyYAML lets chr() and int() speak for themselves on "\UFFFFFFFF" and the like.
        raise _Refused(f"not YAML: {error}", None) from error


def _in_plain_words(error: yaml.MarkedYAMLError) -> _Refused:
    said = error.problem or "not YAML"
    # What is never closed is best shown where it was opened.
    mark = error.context_mark if said.startswith("found unexpected end") else error.problem_mark
    line = mark.line + 1 if mark is not None else None
    for beginning, message, hint in _IN_PLAIN_WORDS:
        if said.startswith(beginning):
            return _Refused(message, line, hint)
    return _Refused(f"not YAML: {said}", line)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


class _Builder:
    """Turns nodes into values. Aliases are expanded, so nodes and their text are counted as they are built."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []
        self._num_nodes = 0
        self._num_characters = 0

    def build(self, node: yaml.Node, path: str, depth: int) -> Any:
        self._num_nodes += 1
        self._num_characters += len(path) + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)
        if self._num_nodes > MAX_NODES or depth > MAX_DEPTH or self._num_characters > MAX_CHARACTERS:
            raise _Refused("aliases that unfold into more than a file can hold", _line(node), "write it out instead")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self._child(item, f"{path}.{i}" if path else str(i), depth) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _child(self, node: yaml.Node, path: str, depth: int) -> Any:
        self.lines[path] = _line(node)
        return self.build(node, path, depth + 1)

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        first_line: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            key = self._key(key_node, path)
            if key is None:
                continue
            inner = f"{path}.{key}" if path else key
            if key in first_line:
                again = f"written twice: on line {first_line[key]} and on line {line}"
                self.problems.append(Problem(message=again, key=inner, line=line, hint="keep one"))
                continue
            first_line[key] = self.lines[inner] = line
            built[key] = self.build(value_node, inner, depth + 1)
        return built

    def _key(self, node: yaml.Node, path: str) -> str | None:
        """Keys are text, as written: `4: {…}` is the label "4"."""
        problem = ""
        if not isinstance(node, yaml.ScalarNode):
            problem = "a key must be a word, not a list or a mapping"
        elif node.style is None and node.value == "<<":
            problem = "merge keys (<<) are not supported"
        elif not node.value or not node.value.isprintable():
            problem = "a key without a name" if not node.value else "a key with unprintable characters"
        elif len(node.value) > MAX_KEY:
            problem = f"a key of {len(node.value):,} characters; the most is {MAX_KEY}"
        if problem:
            self.problems.append(Problem(message=problem, key=path, line=_line(node)))
            return None
        return str(node.value)

    def _scalar(self, node: yaml.Node, path: str) -> Any:
        text = str(node.value)
        try:
            if not is_clean(text):
                raise ValueError("holds a NUL or half a character")
            return text if getattr(node, "style", None) is not None else plain_scalar(text)
        except ValueError as error:
            self.problems.append(Problem(message=str(error), key=path, line=_line(node)))
            return None
