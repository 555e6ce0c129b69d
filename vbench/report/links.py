"""Links from marks in plots to rows of the table of trials, on a finished page."""

from __future__ import annotations

import re

_TO_ROW = re.compile(r'<a href="#([\w-]+)" tabindex="-1"([^>]*)>(.*?)</a>', re.DOTALL)
_ROW = re.compile(r'<tr id="([\w-]+)"')


def without_dead_links(html: str) -> str:
    """The page where marks whose trials the table left out lead nowhere: they keep their looks and what they say when
    pointed at. Only plots have links that the Tab key passes over (`svg`)."""
    rows = set(_ROW.findall(html))

    def kept(link: re.Match[str]) -> str:
        return link[0] if link[1] in rows else f"<g{link[2]}>{link[3]}</g>"

    return _TO_ROW.sub(kept, html)
