"""Pages in one file: all is inside, nothing is fetched, no name breaks them."""

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from jaxdl.report import (
    RBF_FIGURES,
    PageImage,
    PageSection,
    PageTable,
    write_page,
    write_rbf_page,
)

NASTY = '<b>"seven"</b> & <script>alert(1)</script>'


class Page(HTMLParser):
    """The tags of a page with their attributes, and its words by tag."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.words.append((self.open[-1], data.strip()))

    def find(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def read(self, tag):
        return [words for name, words in self.words if name == tag]


def read_page(path):
    html = path.read_text(encoding="utf-8")
    page = Page(html)
    assert not page.open
    return html, page


def save_image(path, value=128, **options):
    Image.fromarray(np.full((30, 60, 3), value, np.uint8)).save(path, **options)
    return path


def test_write_page_escapes_all_words(tmp_path):
    image = save_image(tmp_path / "a.png")
    items = [PageImage(image, NASTY, NASTY), PageTable([NASTY], [[NASTY]], NASTY)]
    write_page(
        tmp_path / "page.html",
        title=NASTY,
        summary={NASTY: NASTY},
        sections=[PageSection(NASTY, NASTY, items), PageSection("b")],
        introduction=NASTY,
    )
    html, page = read_page(tmp_path / "page.html")
    assert not page.find("script") and not page.find("b")
    for tag in ("title", "h1", "h2", "p", "th", "td", "figcaption", "caption", "a"):
        assert NASTY in page.read(tag), tag
    assert page.find("img")[0]["alt"] == NASTY


def test_write_page_holds_its_pictures_and_fetches_nothing(tmp_path):
    png = save_image(tmp_path / "a.png", dpi=(192, 192))
    gif, jpg = save_image(tmp_path / "b.gif"), save_image(tmp_path / "c.jpg")
    images = [PageImage(png, "a"), PageImage(gif.read_bytes(), "b"), PageImage(jpg, "")]
    write_page(
        tmp_path / "page.html",
        title="page",
        summary={},
        sections=[PageSection("pictures", items=images)],
    )
    html, page = read_page(tmp_path / "page.html")
    assert not re.search(r"(https?:)?//", re.sub(r"base64,[^\"]*", "", html))
    assert not page.find("link") and not page.find("script")
    policies = [meta.get("content", "") for meta in page.find("meta")]
    assert any("default-src 'none'" in policy for policy in policies)
    shown = page.find("img")
    for image, file, kind in zip(
        shown, (png, gif, jpg), ("png", "gif", "jpeg"), strict=True
    ):
        start = f"data:image/{kind};base64,"
        assert image["src"].startswith(start)
        content = base64.b64decode(image["src"].removeprefix(start))
        assert content == file.read_bytes()
    # 192 dots per inch are two for each of a screen's.
    assert [(image["width"], image["height"]) for image in shown[:2]] == [
        ("30", "15"),
        ("60", "30"),
    ]
    assert not page.find("nav") and "summary" not in html


def test_write_page_writes_numbers_and_paragraphs(tmp_path):
    summary = {
        "test_accuracy": np.float32(0.98125),
        "steps": np.int64(12000),
        "best": {"loss": 0.5, "is_last": True},
        "seeds": [0, 1, 2],
        "note": None,
        "sizes": tuple(range(20)),
    }
    sections = [
        PageSection("one", "first\nline\n\nsecond line\n"),
        PageSection("two", items=[PageTable(["a", "b"], [[1, 0.123456]], "numbers")]),
    ]
    write_page(tmp_path / "p.html", title="t", summary=summary, sections=sections)
    _, page = read_page(tmp_path / "p.html")
    cells = page.read("td")
    assert cells[:6] == ["0.9812", "12,000", "0.5", "yes", "0, 1, 2", "–"]
    assert cells[6].endswith("10, 11, …") and cells[7:] == ["1", "0.1235"]
    assert page.read("th")[:4] == [
        "test accuracy",
        "steps",
        "best: loss",
        "best: is last",
    ]
    assert page.read("p")[:2] == ["first line", "second line"]
    links = [link["href"] for link in page.find("a")]
    ids = {section.get("id") for section in page.find("section")}
    assert links == ["#section-1", "#section-2"] and {"section-1", "section-2"} <= ids


def test_write_page_wants_pictures_and_whole_rows(tmp_path):
    words = {"title": "t", "summary": {}}
    (tmp_path / "a.png").write_bytes(b"no picture at all")
    bad = PageSection("s", items=[PageImage(tmp_path / "a.png", "dog")])
    with pytest.raises(ValueError, match=r"'dog' \(.*a.png\) is no picture, wanted"):
        write_page(tmp_path / "p.html", sections=[bad], **words)
    save_image(tmp_path / "b.bmp")
    bad = PageSection("s", items=[PageImage(tmp_path / "b.bmp", "dog")])
    with pytest.raises(ValueError, match="is BMP, wanted one of"):
        write_page(tmp_path / "p.html", sections=[bad], **words)
    bad = PageSection("s", items=[PageTable(["a", "b"], [[1]], "short")])
    with pytest.raises(ValueError, match="'short' has 1 cells, wanted 2"):
        write_page(tmp_path / "p.html", sections=[bad], **words)


def test_write_rbf_page_finds_all_kinds_of_figures_in_order(tmp_path):
    for figure in RBF_FIGURES:
        save_image(tmp_path / f"{figure.stem}.png")
    for name in ("center_map_10.png", "center_map_2.png", "embeddings_steps.gif"):
        save_image(tmp_path / name)
    save_image(tmp_path / "center_mapped.png")
    (tmp_path / "summary.json").write_text(json.dumps({"accuracy": 0.75}))
    extra = [PageSection("more", NASTY)]
    captions = {"center_map_10.png": NASTY}
    path = write_rbf_page(tmp_path, title=NASTY, captions=captions, extra=extra)
    assert path == tmp_path / "report.html"
    html, page = read_page(path)
    assert page.read("h2") == [
        "Numbers",
        *(figure.title for figure in RBF_FIGURES),
        "more",
    ]
    assert page.read("td") == ["0.75"] and page.read("h1") == [NASTY]
    alts = [image["alt"] for image in page.find("img")]
    assert alts[1:7] == [
        "Embeddings over training",
        "Embeddings over training: steps",
        "Neighbours over training",
        "Around a centre",
        "Around a centre: 2",
        f"Around a centre: {NASTY}",
    ]
    assert len(alts) == len(RBF_FIGURES) + 3 and all(alts)
    assert "http" not in re.sub(r"base64,[^\"]*", "", html).replace("http-equiv", "")


def test_write_rbf_page_leaves_out_what_is_not_there(tmp_path):
    save_image(tmp_path / "purity.png")
    target = tmp_path / "elsewhere.html"
    notes = {"purity": f"one\n\n{NASTY}", "unknown": "without a figure"}
    assert write_rbf_page(tmp_path, target, summary={"a": 1}, notes=notes) == target
    _, page = read_page(target)
    words = page.read("p")
    place = words.index("one")
    assert "purity is the share" in words[place - 1]
    assert words[place + 1] == " ".join(NASTY.split())
    assert "without a figure" not in words
    assert page.read("h2") == ["Numbers", "What the centres stand for"]


def test_write_rbf_page_wants_figures_and_captions_of_some(tmp_path):
    with pytest.raises(ValueError, match="no figure, in .* wanted names that begin"):
        write_rbf_page(tmp_path)
    save_image(tmp_path / "purity.png")
    with pytest.raises(ValueError, match=r"captions for \['map.png'\]"):
        write_rbf_page(tmp_path, captions={"map.png": "a map"})
    with pytest.raises(ValueError, match=r"notes for \['map'\], wanted .*'purity'"):
        write_rbf_page(tmp_path, notes={"map": "a map"})
