"""One HTML file with figures and tables inside, to be read without a network."""

import base64
import io
import numbers
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image, UnidentifiedImageError

_FORMATS = {"PNG": "image/png", "GIF": "image/gif", "JPEG": "image/jpeg"}
_PIXELS_PER_INCH = 96
"""As browsers count them."""

_MOST_ITEMS = 12
"""Of a list in the summary."""


class PageImage(NamedTuple):
    """A picture of a page.

    Attributes:
        source: A PNG, GIF or JPEG: its file, or its bytes.
        alt: What is on it, for those who don't see it.
        caption: Below it.
    """

    source: str | os.PathLike[str] | bytes
    alt: str
    caption: str = ""


class PageTable(NamedTuple):
    """A table of a page.

    Attributes:
        headings: One per column.
        rows: As long as the headings; numbers are written as in a summary.
        caption: Above it.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""


class PageSection(NamedTuple):
    """A part of a page.

    Attributes:
        title: Its heading, and its line in the list of contents.
        text: Plain words; an empty line begins a new paragraph.
        items: Pictures and tables below the text, in this order.
    """

    title: str
    text: str = ""
    items: Sequence[PageImage | PageTable] = ()


def write_page(
    path: str | os.PathLike[str],
    *,
    title: str,
    summary: Mapping[str, Any],
    sections: Sequence[PageSection],
    introduction: str = "",
) -> None:
    """Writes an HTML page that needs no other file, no script and no network.

    All words are escaped: none of them can be taken for HTML. Pictures become part of
    the file, a third larger than they are.

    Args:
        path: The file to write, in a folder that exists.
        title: Of the page.
        summary: Numbers and words by name, for a table at the top; mappings within it
            are flattened, floats written with four digits. Empty for no table.
        sections: In this order.
        introduction: Below the title; an empty line begins a new paragraph.

    Raises:
        ValueError: A picture is no PNG, GIF or JPEG, or a row of a table is longer or
            shorter than its headings.

    Example:
        >>> import os
        >>> sections = [PageSection("results", "All went well.")]
        >>> write_page(
        ...     os.devnull, title="digits", summary={"accuracy": 0.98},
        ...     sections=sections,
        ... )
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("page.html").render(
        title=title,
        introduction=_split(introduction),
        summary=summarise(summary),
        sections=[_prepare(section) for section in sections],
    )
    Path(path).write_text(html, encoding="utf-8")


def summarise(summary: Mapping[str, Any], *, within: str = "") -> list[tuple[str, str]]:
    """Flattens a summary into rows of a name and a value in words.

    Args:
        summary: Numbers, words, lists, and mappings of the same.
        within: Put before all names.

    Returns:
        Rows in the order of the summary.

    Example:
        >>> summarise({"test": {"accuracy": 0.98123, "loss": None}, "steps": 12000})
        [('test: accuracy', '0.9812'), ('test: loss', '–'), ('steps', '12,000')]
    """
    rows: list[tuple[str, str]] = []
    for name, value in summary.items():
        place = f"{within}{str(name).replace('_', ' ')}"
        if isinstance(value, Mapping):
            rows += summarise(value, within=f"{place}: ")
        else:
            rows.append((place, _write(value)))
    return rows


def _write(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return f"{int(value):,}"
    if isinstance(value, numbers.Real):
        return f"{float(value):.4g}"
    if isinstance(value, list | tuple):
        words = [_write(item) for item in value[:_MOST_ITEMS]]
        return ", ".join(words) + ", …" * (len(value) > _MOST_ITEMS)
    return str(value)


def _split(text: str) -> list[str]:
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    return [paragraph for paragraph in paragraphs if paragraph]


def _prepare(section: PageSection) -> dict[str, Any]:
    return {
        "title": section.title,
        "paragraphs": _split(section.text),
        "items": [
            _inline(item) if isinstance(item, PageImage) else _check(item)
            for item in section.items
        ],
    }


def _inline(image: PageImage) -> dict[str, Any]:
    """A picture as an address that holds it, and its size on a screen."""
    source = image.source
    content = source if isinstance(source, bytes) else Path(source).read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as opened:
            kind, (width, height) = opened.format, opened.size
            density = float(opened.info.get("dpi", (_PIXELS_PER_INCH,))[0])
    except UnidentifiedImageError:
        kind, width, height, density = None, 0, 0, 0.0
    if kind not in _FORMATS:
        name = "bytes" if isinstance(source, bytes) else os.fspath(source)
        raise ValueError(
            f"write_page: the picture {image.alt!r} ({name}) is {kind or 'no picture'}"
            f", wanted one of {list(_FORMATS)}"
        )
    scale = _PIXELS_PER_INCH / density if density > 0 else 1.0
    return {
        "kind": "image",
        "address": f"data:{_FORMATS[kind]};base64,"
        + base64.b64encode(content).decode("ascii"),
        "width": round(width * scale),
        "height": round(height * scale),
        "alt": image.alt,
        "caption": image.caption,
    }


def _check(table: PageTable) -> dict[str, Any]:
    for row in table.rows:
        if len(row) != len(table.headings):
            raise ValueError(
                f"write_page: a row of the table {table.caption!r} has {len(row)} "
                f"cells, wanted {len(table.headings)}"
            )
    return {
        "kind": "table",
        "headings": table.headings,
        "rows": [[_write(cell) for cell in row] for row in table.rows],
        "caption": table.caption,
    }
