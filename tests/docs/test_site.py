"""The documentation builds as a site with every link followed, and its pages fetch nothing from elsewhere."""

import os
import re
import subprocess
import sys

import pytest

from support.pages import ROOT

_FETCHED = re.compile(r"<(?:script|img|link|iframe)[^>]*?(?:src|href)=[\"']?(https?:)?//", re.IGNORECASE)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_there(site):
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    made = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert pages <= made
    assert {"about", "changelog"} <= {path.name for path in made}


def test_no_page_fetches_anything_from_elsewhere(site):
    for path in site.rglob("*.html"):
        assert not _FETCHED.search(path.read_text(encoding="utf-8")), path.name


def test_the_site_is_not_in_the_repository():
    assert "site/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_page_for_ethics_boards_has_what_is_generated():
    text = (ROOT / "docs" / "explanation" / "for-ethics-boards.md").read_text(encoding="utf-8")
    made = text.partition("presets: begin")[2].partition("presets: end")[0]
    assert "`research`" in made
    assert "conformance-tcia.md" in made
