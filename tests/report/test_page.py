"""The page stands alone, shows what the report holds, and takes nothing in it for markup."""

import os
import re
from html.parser import HTMLParser

import pytest

from edgesmith.core.errors import BadInput
from edgesmith.report import build, write

SECTIONS = {
    "result": ("before", "after"),
    "candidates": ("candidates",),
    "accuracy": ("accuracy", "confusion"),
    "trust": ("trust",),
    "layers": ("layers",),
    "sensitivity": ("sensitivity",),
    "memory": ("memory",),
    "parity": ("parity",),
    "trials": ("candidates",),
    "reproduce": ("reproduce",),
}
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Collects tags with attributes, and the text outside scripts and styles; insists that tags nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text.append(data)

    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))

    def sections(self) -> set[str | None]:
        return {attrs.get("id") for tag, attrs in self.tags if tag == "section"}

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def test_every_section_of_a_full_report_is_there(sample):
    page = Page(build(sample))
    assert page.sections() == set(SECTIONS)
    assert page.count("svg") == 1 and page.count("h1") == 1


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_without_data_is_absent_and_the_others_stay(sample, section):
    for field in SECTIONS[section]:
        del sample[field]
    gone = {name for name, fields in SECTIONS.items() if not any(field in sample for field in fields)}
    assert Page(build(sample)).sections() == set(SECTIONS) - gone


def test_the_smallest_report_is_a_page_without_sections(smallest):
    page = build(smallest)
    assert Page(page).sections() == set()
    assert len(page) < 40_000, "no plot, so no plot library"


def test_nothing_is_fetched_from_anywhere(sample):
    """No attribute and no style names a resource, and the page forbids its own scripts to fetch."""
    html = build(sample)
    page = Page(html)
    for _, attrs in page.tags:
        assert not {"src", "href", "srcset", "data", "action", "xlink:href"} & attrs.keys()
    policy = [attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert len(policy) == 1 and policy[0].startswith("default-src 'none'") and "http" not in policy[0]
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style


def test_the_plot_library_is_embedded_once(sample):
    assert build(sample).count("plotly.js v") == 1


def test_figures_of_the_table_are_shown_with_kind_and_error(sample):
    words = Page(build(sample)).words()
    # by hand: 718904 B / 1024 = 702.05 KB; 547.68 ms of 3912 is 14%
    assert "702 KB" in words and "3.91 s" in words
    assert "estimated ±14%" in words and "measured ±0.41 pt" in words and "98.66%" in words


def test_a_missed_limit_is_called_missed(sample):
    assert "missed" not in Page(build(sample)).words()
    sample["budget"]["flash_bytes"] = 1024
    assert Page(build(sample)).words().count("missed") == 1


def test_a_model_that_does_not_fit_comes_with_advice(smallest):
    smallest["outcome"] = {"fits": False, "message": "Flash is 12 KB over.", "advice": ["Relax flash to 76 KB."]}
    words = Page(build(smallest)).words()
    assert "Does not fit" in words and "Flash is 12 KB over." in words and "Relax flash to 76 KB." in words


def texts(value, path=()):
    """All places of text in a report, as paths, keys of free tables left out."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if isinstance(item, str):
            yield (*path, key)
        else:
            yield from texts(item, (*path, key))


CHOICES = {"kind", "unit", "state", "direction"}
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}&amp;"


def test_hostile_text_anywhere_stays_text(sample):
    clean = Page(build(sample))
    for path in list(texts(sample)):
        if path[-1] in CHOICES:
            continue
        place = sample
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = EVIL
    for candidate in sample["candidates"]:
        candidate["settings"][EVIL] = EVIL
    html = build(sample)
    page = Page(html)
    assert page.count("script") == clean.count("script") and page.count("img") == 0
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert EVIL in "".join(page.text), "shown as it is, not dropped"
    assert "<script>alert" not in html and "<img src" not in html


def test_the_page_is_written_whole_or_not_at_all(sample, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(BadInput, match="No space left on device"):
        write(sample, path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_written_page_is_the_built_one(sample, tmp_path):
    path = write(sample, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == build(sample)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_a_clear_error(sample, tmp_path):
    with pytest.raises(BadInput, match="cannot write .* No such file"):
        write(sample, tmp_path / "absent" / "report.html")


def test_a_sensitive_layer_stands_with_its_reason(sample):
    page = Page(build(sample))
    text = " ".join(page.text)
    assert "1 of 3 do far more than their part" in text
    assert "outliers: the largest value is 9.1 times the 99.9th percentile" in text


def test_bits_of_layers_are_shown_where_some_differ(sample):
    assert ">Bits<" not in build(sample)
    sample["layers"]["rows"][0]["bits"] = 4
    assert ">Bits</th>" in build(sample)
