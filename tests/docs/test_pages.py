"""The pages are whole: generated ones are what the code says, links lead somewhere, every hook has its heading."""

import inspect
import re
import subprocess
import sys

import pytest

from pacsferry.core import hookspecs
from pacsferry.core.errors import PRECEDENCE
from pacsferry.core.registry import KINDS
from support.commands import call
from support.pages import README, ROOT, anchors, pages, prose

SCRIPT = ROOT / "tools" / "pages.py"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HOOKS = [name for name, one in vars(hookspecs).items() if name.startswith("pacsferry_") and callable(one)]


def check(folder):
    return subprocess.run(
        [sys.executable, str(folder / "tools" / "pages.py"), "--check"], capture_output=True, text=True, check=False
    )


def test_generated_pages_are_what_the_code_says():
    done = check(ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stale_page_is_named(tmp_path):
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    program = f"""
import pathlib, shutil, sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
import pages
pages.ROOT = pathlib.Path({str(tmp_path)!r})
shutil.copyfile({str(README)!r}, pages.ROOT / "README.md")
assert pages.main([]) == 0 and pages.main(["--check"]) == 0
page = pages.ROOT / "docs/reference/reasons.md"
page.write_text(page.read_text() + "one more line")
readme = pages.ROOT / "README.md"
readme.write_text(readme.read_text().replace("- De-identified by", "- Made safe by"))
sys.exit(pages.main(["--check"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["docs/reference/reasons.md", "README.md"]


def test_the_readme_says_what_describe_says(monkeypatch):
    monkeypatch.delenv("PACSFERRY_SITE", raising=False)
    text = README.read_text(encoding="utf-8")
    block = text.partition("made by tools/pages.py -->\n")[2].partition("<!-- describe: end")[0]
    assert [line.removeprefix("- ") for line in block.splitlines()] == call("describe").out.splitlines()


def test_the_page_of_commands_does_not_depend_on_the_terminal():
    def made(**env):
        program = (
            f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); import pages; print(pages.PAGES['cli.md']())"
        )
        return subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=env).stdout

    assert made(COLUMNS="40", FORCE_COLOR="1", TERM="xterm-256color") == made(COLUMNS="200", NO_COLOR="1")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_heading_with_its_exact_signature(hook):
    text = (ROOT / "docs/reference/hooks.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {hook}\n")[2].partition("\n## ")[0]
    signature = str(inspect.signature(getattr(hookspecs, hook))).replace("'", "")
    assert f"```python\ndef {hook}{signature}:\n```" in section


def test_every_hook_is_a_kind_of_plugin():
    assert set(HOOKS) == set(KINDS.values())


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in LINK.findall(prose(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.is_file(), f"{target}: there is no such file"
        assert found.is_relative_to(ROOT), f"{target} leads out of the project"
        assert not anchor or anchor in anchors(found), f"{target}: there is no such heading"


def test_every_page_is_linked_from_another():
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in pages()
        for target in LINK.findall(prose(page))
        if not target.startswith("http")
    }
    assert {page for page in pages() if page not in linked} <= {README}


def test_every_decision_is_in_the_list_and_says_the_same():
    folder = ROOT / "docs/decisions"
    listed = dict(re.findall(r"\]\((\d{4}-[^)]+)\) \| (.*) \|", (folder / "index.md").read_text(encoding="utf-8")))
    titles = {page.name: page.read_text(encoding="utf-8").splitlines()[0] for page in folder.glob("0*.md")}
    assert titles == {name: f"# {name[:4]} {words}" for name, words in listed.items()}


def test_each_promise_names_a_test_that_exists():
    promises = re.findall(r"`(tests/[^`:]+)::(test_\w+)`", README.read_text(encoding="utf-8"))
    assert len(promises) >= 10
    for file, name in promises:
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file} has no {name}"


def test_the_readme_has_every_exit_code():
    text = README.read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"(?:^|· )(\d+) ", text.replace("\n", " ").strip())} == set(PRECEDENCE)
