"""matplotlib's SVG, made fit for a page: safe, small, and coloured by the page's theme.

Nothing is taken over that isn't named here: unknown elements and attributes are dropped, links lead to places on the
page only, and all text is escaped again. Colours of the theme become CSS variables, so that one drawing serves light
and dark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from xml.etree import ElementTree

from markupsafe import Markup, escape

from vbench.report.plot_theme import FONT, LIGHT, roles

LINK_SEPARATOR = " "
"""Between the place that a mark leads to and its tooltip, in the one text that matplotlib carries along as its URL."""

_STYLES = frozenset(
    {
        "fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin",
        "stroke-miterlimit", "opacity", "fill-opacity", "stroke-opacity", "fill-rule", "font-size", "font-weight",
        "font-style", "text-anchor",
    }
)  # fmt: skip
_ATTRIBUTES: dict[str, frozenset[str]] = {
    "g": frozenset({"clip-path", "transform"}),
    "path": frozenset({"id", "d", "clip-path", "transform"}),
    "use": frozenset({"href", "x", "y", "transform", "clip-path"}),
    "text": frozenset({"x", "y", "transform"}),
    "tspan": frozenset({"x", "y"}),
    "rect": frozenset({"x", "y", "width", "height", "transform"}),
    "image": frozenset({"href", "x", "y", "width", "height", "transform", "clip-path"}),
    "a": frozenset({"href"}),
    "defs": frozenset(),
    "clipPath": frozenset({"id"}),
    "pattern": frozenset({"id", "patternUnits", "x", "y", "width", "height"}),
}
_INHERITED = _STYLES - {"opacity"}
_FILLED_BY_DEFAULT = frozenset({"path", "use", "text", "rect"})
_LENGTHS = ("x", "y", "width", "height", "stroke-width", "font-size")
_LONG_PATH = 1_000
"""Characters from which on a path is no small shape, so that a tenth of a point is exact enough, as for a dot's place:
a plot is 619 points wide."""
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLACE = re.compile(r"#[A-Za-z][\w.-]*")
_RASTER = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=\s]*")
_PART = re.compile(r"part-\d+-")  # of a plot's name where the page has several parts, as of its rows' addresses
_STILL = re.compile(r"rotate\(-?0(?:\.0+)? [^)]*\)")


@dataclass(slots=True)
class Node:
    """An element that was found fit: its attributes in order, its own text and what is inside."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Node] = field(default_factory=list)


def inline(root: Node, alt: str) -> Markup:
    """For a page: coloured by its variables; a picture to assistive technology."""
    head = {"class": "plot", "role": "img", "aria-label": alt, **root.attributes, **_joins()}
    colours = {colour: f"var({variable})" for variable, colour in roles(LIGHT)}
    writer = _Writer(colours=colours, has_links=True)
    return Markup(writer.text_of(Node("svg", head, children=root.children)))  # noqa: S704 -- escaped there


def standalone(root: Node, alt: str) -> bytes:
    """A file for documents and slides: the light theme on its ground, without links, which would lead nowhere."""
    *_, width, height = root.attributes["viewBox"].split()
    ground = Node("rect", {"width": width, "height": height, "fill": LIGHT.surface})
    head = {
        "xmlns": "http://www.w3.org/2000/svg", "role": "img", "aria-label": alt, "width": width, "height": height,
        **root.attributes, "font-family": f"{FONT}, Verdana, sans-serif", **_joins(),
    }  # fmt: skip
    writer = _Writer(colours={}, has_links=False)
    return writer.text_of(Node("svg", head, children=[ground, *root.children])).encode()


def clean(svg: bytes, name: str) -> Node:
    """What is fit of a drawing, as a tree; ids begin with the plot's name. Its root has the view box alone."""
    text = _ILLEGAL.sub("\ufffd", svg.decode("utf-8", "replace"))
    found = ElementTree.fromstring(text)  # noqa: S314 -- matplotlib's own output, in which foreign text is escaped
    cleaner = _Cleaner(name=name, ids=_used_ids(found, name))
    children = [node for child in found for node in cleaner.nodes(child)]
    return Node("svg", {"viewBox": found.get("viewBox", "0 0 1 1")}, children=children)


def _joins() -> dict[str, str]:
    return {"stroke-linejoin": "round", "stroke-linecap": "butt"}


def _used_ids(root: ElementTree.Element, name: str) -> dict[str, str]:
    """The ids that something refers to, in order, and what they become."""
    numbers = count(1)
    ids: dict[str, str] = {}
    for element in root.iter():
        if isinstance(element.tag, str) and _local(element.tag) == "use":
            ids.setdefault(_attributes(element).get("href", "").removeprefix("#"), "")
        for value in element.attrib.values():
            for target in re.findall(r"url\(#([^)]+)\)", value):
                ids.setdefault(target, "")
    return {old: f"{name}-{next(numbers)}" for old in ids}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cleaner:
    name: str
    ids: Mapping[str, str]

    def nodes(self, element: ElementTree.Element) -> list[Node]:
        """What stands in for an element: itself, its children alone, or nothing."""
        tag = _local(element.tag) if isinstance(element.tag, str) else ""
        if tag not in _ATTRIBUTES:
            return []
        given = _attributes(element)
        kept = self._kept(tag, given)
        children = [node for child in element for node in self.nodes(child)]
        if tag == "a":
            return self._link(given.get("href", ""), children)
        node = Node(tag, kept, element.text or "" if tag in ("text", "tspan") else "", children)
        if tag == "g" and children:
            _hoist(node)
        if tag in ("g", "defs") and not children:
            return []
        if (tag == "g" and not node.attributes) or (tag == "g" and len(children) == 1 and _merge(node)):
            return children
        return [] if _is_invisible(node) else [node]

    def _kept(self, tag: str, given: Mapping[str, str]) -> dict[str, str]:
        kept: dict[str, str] = {}
        for key, value in {**given, **_styles(given.get("style", ""))}.items():
            if key in _STYLES or key in _ATTRIBUTES[tag]:
                fit = self._fit(tag, key, value)
                if fit is not None:
                    kept[key] = fit
        return kept

    def _fit(self, tag: str, key: str, value: str) -> str | None:
        if key == "id":
            return self.ids.get(value)
        if key == "href":
            if tag == "image":
                return "".join(value.split()) if _RASTER.fullmatch(value) else None
            return f"#{self.ids[value[1:]]}" if value[1:] in self.ids else None
        if key == "transform":
            return None if _STILL.fullmatch(value) else _rounded(value, 4)
        if "url(" in value:
            target = re.fullmatch(r"url\(#([^)]+)\)", value)
            return f"url(#{self.ids[target[1]]})" if target else None
        if key == "d":
            return re.sub(r"\s*([A-Za-z])\s*", r"\1", _rounded(value, 1 if len(value) > _LONG_PATH else 2)).strip()
        if key in _LENGTHS:
            return _rounded(value.removesuffix("px"), 1 if tag == "use" else 2)
        return value

    def _link(self, target: str, children: list[Node]) -> list[Node]:
        place, _, tip = target.partition(LINK_SEPARATOR)
        if not _PLACE.fullmatch(place):
            return children
        part = _PART.match(self.name)
        place = f"#{part[0]}{place[1:]}" if part else place
        # Not a stop for the Tab key: there may be a thousand, and the table of all trials has them in order.
        title = [Node("title", {}, tip)] if tip else []
        link = Node("a", {"href": place, "tabindex": "-1"}, children=[*title, *children])
        _hoist(link)
        return [link]


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _attributes(element: ElementTree.Element) -> dict[str, str]:
    return {_local(key): value for key, value in element.attrib.items()}


@lru_cache(maxsize=256)
def _styles(text: str) -> Mapping[str, str]:
    pairs = (part.partition(":") for part in text.split(";"))
    return {key.strip(): value.strip() for key, _, value in pairs if value.strip()}


def _hoist(parent: Node) -> None:
    """Move what all children say to the parent: a thousand dots of one colour name it once."""
    children = [child for child in parent.children if child.tag not in ("defs", "title")]
    if not children or any(child.tag == "image" for child in children):
        return
    for key in _INHERITED & children[0].attributes.keys():
        value = children[0].attributes[key]
        if key not in parent.attributes and all(child.attributes.get(key) == value for child in children):
            parent.attributes[key] = value
            for child in children:
                del child.attributes[key]
    parent.attributes = dict(sorted(parent.attributes.items()))


def _merge(group: Node) -> bool:
    """Whether a group of one could give its attributes to what it holds, and has."""
    (child,) = group.children
    if {"transform", "clip-path", "opacity"} & group.attributes.keys() or child.tag in ("defs", "a"):
        return False
    child.attributes = {**group.attributes, **child.attributes}
    return True


def _is_invisible(node: Node) -> bool:
    """A path without line or filling, which matplotlib draws for every empty ground; not one that others `use`."""
    has_line = node.attributes.get("stroke", "none") != "none"
    return node.tag == "path" and "id" not in node.attributes and node.attributes.get("fill") == "none" and not has_line


def _rounded(value: str, decimals: int) -> str:
    def shown(found: re.Match[str]) -> str:
        text = f"{float(found[0]):.{decimals}f}".rstrip("0").rstrip(".")
        return "0" if text in ("-0", "") else text

    return _NUMBER.sub(shown, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writer:
    colours: Mapping[str, str]
    has_links: bool

    def text_of(self, node: Node) -> str:
        if node.tag == "a" and not self.has_links:
            return self._unlinked(node)
        inside = str(escape(node.text)) + "".join(self.text_of(child) for child in node.children)
        shown = (f' {key}="{escape(self.colours.get(value, value))}"' for key, value in node.attributes.items())
        attributes = "".join(shown)
        return f"<{node.tag}{attributes}>{inside}</{node.tag}>" if inside else f"<{node.tag}{attributes}/>"

    def _unlinked(self, node: Node) -> str:
        """A link's marks in a group that has its looks."""
        looks = {key: value for key, value in node.attributes.items() if key in _STYLES}
        marks = [child for child in node.children if child.tag != "title"]
        return self.text_of(Node("g", looks, children=marks)) if looks else "".join(map(self.text_of, marks))
