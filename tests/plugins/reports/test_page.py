import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacsferry.core.model import Row, Status
from pacsferry.plugins.reports.flow_chart import chart, total, why
from pacsferry.plugins.reports.markup import tag, text
from pacsferry.plugins.reports.page import page
from support.summaries import HOSTILE, ROWS, row, summary

SVG = "{http://www.w3.org/2000/svg}"


class Reader(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.words, self.attributes = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words.append(data)


def read(**fields):
    return Reader(page(summary(**fields)))


@pytest.mark.parametrize("identified", [True, False])
def test_the_page_needs_nothing_from_anywhere(identified):
    html = page(summary(identified=identified))
    told = Reader(html)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(told.tags)
    assert not {"src", "style", "onload", "onclick"} & {name for name, _ in told.attributes}
    assert all(value.startswith("#") for name, value in told.attributes if name == "href")
    assert "url(" not in html
    assert "@import" not in html
    policy = html.split('Content-Security-Policy" content="')[1]
    assert policy.startswith("default-src &#x27;none&#x27;; style-src &#x27;sha256-")


@pytest.mark.parametrize("identified", [True, False])
def test_what_an_archive_wrote_is_text_and_nothing_else(identified):
    html = page(summary(identified=identified, project=HOSTILE, described=(HOSTILE,)))
    assert "<script" not in html
    assert "\x1b" not in html
    assert "alert(&#x27;x&#x27;)" in html


def test_the_private_page_names_accessions_and_says_so():
    words = " ".join(read(identified=True).words)
    assert "ACC-002" in words
    assert "It belongs in the private folder only." in words


def test_gaps_come_with_counts_and_advice():
    words = " ".join(read(identified=False).words)
    assert "the pixels could carry text that identifies" in words
    assert "wait for pixel cleaning" in words
    assert "pacsferry resume lungs" in words
    assert "1 of 4" not in words
    assert "2 of 4 studies complete. 1 request matched nothing." in words


def test_everything_whole_says_that_nothing_is_missing():
    words = " ".join(read(identified=False, rows=(row(1),), status="ok").words)
    assert "Nothing is missing and nothing is held." in words
    assert "1 of 1 study complete." in words


def test_nothing_found_is_a_page_too():
    words = " ".join(read(identified=False, rows=(Row(request=1, accession="A", status=Status.NOT_FOUND),)).words)
    assert "No study was found." in words
    assert "nothing to draw" in words


def test_the_same_summary_gives_the_same_page():
    assert page(summary(identified=True)) == page(summary(identified=True))


def test_the_flow_accounts_for_every_instance():
    drawn = ET.fromstring(chart(ROWS[:4]))
    desc = drawn.find(f"{SVG}desc").text
    asked = [int(n) for n in re.findall(r"instances to [^:;]+: (\d+)", desc)]
    ends = [int(n) for n in re.findall(r"to (?:Stored|Held|Missing|Excluded)[^:;]*: (\d+)", desc)]
    assert sum(asked) == sum(ends) == sum(total(ROWS[:4]).values()) == 100
    assert drawn.get("role") == "img"


def test_one_missing_image_among_many_is_still_seen():
    drawn = ET.fromstring(chart([row(1, stored=999_999, missing=1, reasons={"stalled": 1})]))
    bars = {one.get("class"): float(one.get("height")) for one in drawn.iter(f"{SVG}rect")}
    assert bars["bar missing"] >= 3


def test_a_reason_that_nobody_gave_is_not_invented():
    assert why(row(1, missing=3, reasons={"stalled": 2, "burned-in": 9}), "missing") == {"stalled": 2, "": 1}
    assert why(row(1, held=1, reasons={"burned-in": 9}), "held") == {"burned-in": 1}


counts = st.integers(min_value=0, max_value=10**6)


@given(st.lists(st.tuples(counts, counts, counts, counts, st.sampled_from(["CT", "MR", "", "A", "B", "C", "D", "E"]))))
@settings(deadline=None, max_examples=40)
def test_any_counts_can_be_drawn(rows):
    made = [
        row(1, stored=s, held=h, missing=m, excluded=e, modality=name, reasons={"stalled": m // 2, "sop-class": h})
        for s, h, m, e, name in rows
    ]
    drawn = chart(made)
    if not sum(total(made).values()):
        assert drawn == ""
        return
    tall = float(ET.fromstring(drawn).get("viewBox").split()[3])
    for bar in ET.fromstring(drawn).iter(f"{SVG}rect"):
        assert float(bar.get("y")) + float(bar.get("height")) <= tall


@given(st.text())
@settings(deadline=None, max_examples=60)
def test_any_text_is_escaped(words):
    element = tag("p", words, title=words)
    parsed = ET.fromstring(element)
    safe = "".join(c if c.isprintable() or c in " \n\t" else "�" for c in words)
    assert (parsed.text or "") == safe
    assert text(element) == element
