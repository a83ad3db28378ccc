"""The pages people read, taken apart: blocks of code, links, headings, commands."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    page: Path
    number: int
    info: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.number}"


def pages() -> list[Path]:
    """Every page that has something on it."""
    found = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if page.stat().st_size]


def blocks(*infos: str, page: Path | None = None) -> list[Block]:
    """All blocks of these kinds, in order."""
    found = (
        Block(one, number, match[1].strip(), match[2])
        for one in ([page] if page else pages())
        for number, match in enumerate(_FENCE.finditer(one.read_text(encoding="utf-8")))
    )
    return [block for block in found if block.info.split(" ")[0] in infos]


def section(page: Path, heading: str) -> str:
    """What stands below a heading of the second level."""
    text = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    return text.partition("\n## ")[0]


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def lines(block: Block) -> Iterator[str]:
    """What one would type: of a console block what follows the prompt, of a script every line."""
    for line in block.text.splitlines():
        if block.info == "console":
            if line.startswith("$ "):
                yield line[2:]
        elif line.strip() and not line.startswith("#"):
            yield line


def words(line: str) -> list[str]:
    """The words of a command, up to a pipe or a redirection."""
    found = shlex.split(line, comments=True)
    ends = [at for at, word in enumerate(found) if word in {"|", ">", ">>", "2>", "&&"}]
    return found[: ends[0]] if ends else found


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    heads = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", head).strip().lower() for head in heads]
    return {re.sub(r"\s", "-", head) for head in plain}
