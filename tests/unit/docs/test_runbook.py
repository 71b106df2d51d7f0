"""What the runbook quotes is what the product says."""

import ast
import re

from tests.unit.docs.references import ROOT


def sentences() -> list[str]:
    """Every text in the domain and the steps; `…` stands for what is filled in."""
    files = [*(ROOT / "pipeline/domain").rglob("*.py"), *(ROOT / "pipeline/steps").rglob("*.py")]
    nodes = (node for path in files for node in ast.walk(ast.parse(path.read_text())))
    return [
        "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        for node in nodes
        if isinstance(node, ast.JoinedStr)
    ]


def quoted() -> list[str]:
    return re.findall(r'^\| "(.+?)" \|', (ROOT / "include/runbook.md").read_text(), re.MULTILINE)


def test_every_refusal_that_the_runbook_quotes_is_one():
    said = sentences()
    assert len(quoted()) > 8
    wrong = [quote for quote in quoted() if not any(_said(quote, sentence) for sentence in said)]
    assert wrong == []


def _said(quote: str, sentence: str) -> bool:
    pattern = ".*".join(map(re.escape, quote.split("…")))
    return re.search(pattern, sentence) is not None
