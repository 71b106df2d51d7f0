"""What the repository's own texts refer to: decisions, invariants, sections, files, commands."""

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROOMS = ("dags", "plugins", "pipeline", "faceserve", "include", "tests")
_SUFFIXES = {".py", ".md", ".sql", ".yaml", ".sh", ".proto", ".html", ".toml"}
_MANIFESTS = (
    *("Makefile", "docker-compose.yaml", ".env.example", "include/docker/*", "include/k8s/**/*"),
    *("include/prometheus/**/*", "include/stack/*.sh", "include/contract/*.proto", "include/contract/*.yaml"),
)
# Of an f-string the texts come as tokens of their own from Python 3.12 on.
_TEXTS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
_LINE_ENDS = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
_GENERATED = re.compile(r"_pb2|__pycache__")


@dataclass(frozen=True)
class Text:
    """One line of prose: of a document, of a docstring or of a comment."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text.strip()[:100]}"


def documents() -> list[Path]:
    """Every Markdown page of the product."""
    return [path for path in _files() if path.suffix == ".md"]


@cache
def lines() -> tuple[Text, ...]:
    """Every line of prose but these tests' own; of Python files only strings and comments."""
    return tuple(line for path in _files() if path.parent != Path(__file__).parent for line in _lines_of(path))


@cache
def words_of_code() -> frozenset[str]:
    """Every word in capitals of what runs: of the product's Python without docstrings and comments, of manifests and
    scripts without comments.
    """
    python = (path for path in _files() if path.suffix == ".py" and path.parts[len(ROOT.parts)] != "tests")
    texts = [" ".join(_names_and_values(path.read_text())) for path in python]
    manifests = (path for pattern in _MANIFESTS for path in ROOT.glob(pattern) if path.is_file())
    texts += [re.sub(r"(^|\s)#.*", "", path.read_text(), flags=re.MULTILINE) for path in manifests]
    return frozenset(word for text in texts for word in re.findall(r"\b[A-Z][A-Z0-9_]+\b", text))


def headings(page: Path) -> list[str]:
    """Of Markdown, without code blocks."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"^#+ (.+)$", prose, re.MULTILINE)


def anchor(heading: str) -> str:
    """The fragment by which GitHub links to a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


@cache
def _files() -> list[Path]:
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*")] + list(ROOT.glob("*"))
    wanted = (path for path in found if path.suffix in _SUFFIXES and path.is_file())
    return sorted(path for path in wanted if not _GENERATED.search(str(path)))


def _lines_of(path: Path) -> Iterator[Text]:
    text, name = path.read_text(), str(path.relative_to(ROOT))
    rows = _prose_of_python(text) if path.suffix == ".py" else enumerate(text.splitlines(), start=1)
    yield from (Text(name, number, row) for number, row in rows)


def _prose_of_python(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in {tokenize.STRING, tokenize.COMMENT}:
            yield from enumerate(token.string.splitlines(), start=token.start[0])


def _names_and_values(source: str) -> Iterator[str]:
    """Without docstrings: these begin a line, and no value does."""
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME or (token.type in _TEXTS and before not in _LINE_ENDS):
            yield token.string
        if token.type not in {tokenize.NL, tokenize.COMMENT}:
            before = token.type
