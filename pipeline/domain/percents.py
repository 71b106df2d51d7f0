"""Shares in sentences: rounded, and never onto or over a bar that they are compared with."""

_MOST_DIGITS = 8


def percent(share: float, *bars: float, digits: int = 1) -> str:
    """`share` (0-1) with the fewest decimals, from `digits` on, that leave it on its side of each of `bars`.

    A bar beside itself has all its decimals.
    """
    texts = [f"{share:.{more}%}" for more in range(digits, _MOST_DIGITS + 1)]
    return next((text for text in texts if _sides(_read(text), bars) == _sides(share, bars)), texts[-1])


def _read(text: str) -> float:
    return float(text.removesuffix("%")) / 100


def _sides(share: float, bars: tuple[float, ...]) -> list[int]:
    """1 above, -1 below; what binary fractions add is nothing."""
    apart = [round(share - bar, 12) for bar in bars]
    return [(one > 0) - (one < 0) for one in apart]
