"""Axe, Deque's rules of what people with assistive technology cannot use, asked about a page as it is now."""

from pathlib import Path

_SOURCE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
_SERIOUS = ("serious", "critical")
_ASK = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, where: nodes.map((one) => one.html) }));
}"""


def serious_faults(frame):
    """Of a page or frame of Playwright's: what is seriously wrong, as sentences with the elements."""
    frame.evaluate(f"if (!window.axe) {{ {_SOURCE} }}")
    found = frame.evaluate(_ASK)
    return [f"{one['id']}: {one['help']}: {one['where']}" for one in found if one["impact"] in _SERIOUS]
