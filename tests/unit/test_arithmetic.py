"""Arithmetic in code spans: which are read, which hold, and that none can do harm."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutor.arithmetic import check, evaluate, spans


@pytest.mark.parametrize(
    "span",
    [
        "1,000,000 * 128 * 4 = 512,000,000",
        "10,000,000,000 * 128 * 4 = 5.12e12",
        "5.12e12 = 5,120,000,000,000",
        "0.1 * 3 = 0.3",
        "10 / 3 = 3.33",
        "100,000,000 / 86,400 ≈ 1,157",
        "1 - 0.99^8 ≈ 0.0773",
        "1 - (1 - 1/10,000)^4,095 ≈ 0.336",
        "2^-1 = 0.5",
        "-2^2 = -4",
        "2^3^2 = 512",
        "8 × 9 = 72",
        "8 x 9 = 72",
        "10 − 4 = 6",
        "sqrt(16) = 4",
        "log2(8) = 3",
        "log10(1e6) = 6",
        "ln(0.05) ≈ -2.996",
        "1 - exp(-50/100) ≈ 0.393",
        "2 * 512 = 2^10 = 1,024 ≈ 1,000 + 20",
        "7 / log2(2) + 0 / log2(3) + 3 / log2(4) = 8.5",
        "0^0 = 1",
        "1^1e900 = 1",
    ],
)
def test_true_spans_hold(span: str) -> None:
    assert check(span) is None


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ("0.1 * 3 = 0.31", "comes to 0.3,"),
        ("10 / 3 = 3.34", "comes to 3.33333"),
        ("1,000,000 * 128 * 4 = 512,000,001", "comes to 512,000,000"),
        ("10,000,000,000 * 128 * 4 = 5.13e12", "comes to 5,120,000,000,000"),
        ("1,024 ≈ 1e3", "not ≈ 1e3"),
        ("2 * 3 = 6 = 7", "6 comes to 6"),
        ("0.3333 = 1/3", "not = 1/3"),
        ("= 5", "empty"),
        ("5 =", "empty"),
        ("=", "empty"),
        ("2 * 3", "no = or ≈"),
        ("batch = 32", "cannot read 'batch'"),
        ("86,400 s = 1", "cannot read 's'"),
        ("1,00 + 1 = 101", "cannot read"),
        ("1..5 = 1", "cannot read"),
        ("2(3) = 6", "operator missing"),
        ("2 3 = 6", "not an expression"),
        ("2**3 = 8", "not an expression"),
        ("sqrt = 4", "cannot read"),
        ("sqrt(1, 2) = 4", "cannot read"),
        ("1 / (2 - 2) = 0", "divides by zero"),
        ("0^-1 = 0", "divides by zero"),
        ("ln(0) = 0", "above zero"),
        ("sqrt(0 - 1) = 1", "no real value"),
        ("(0 - 8)^(1/3) = 2", "no real value"),
        ("__import__('os') = 1", "cannot read"),
    ],
)
def test_false_or_unreadable_spans_say_why(span: str, said: str) -> None:
    problem = check(span)
    assert problem is not None
    assert said in problem


@pytest.mark.parametrize(
    "span",
    [
        "9^9^9 = 1",
        "9^9^9^9^9 = 1",
        "1e999999999 = 1",
        "exp(exp(10)) = 1",
        "1.0000001^1e9 = 1",
        "0.999^9999 * 0.998^9999 * 0.997^9999 * 0.996^9999 + 1/7^99 = 5",
        "(" * 240 + "1" + ")" * 240 + " = 2",
        "-" * 400 + "1 = 2",
        "1+" * 20_000 + "1 = 2",
        "9" * 490 + "^2 = 2",
    ],
)
def test_spans_that_would_take_for_ever_are_judged_at_once(span: str) -> None:
    begun = time.monotonic()
    assert check(span) is not None
    assert time.monotonic() - begun < 2


def test_finds_spans_with_a_relation_and_their_lines() -> None:
    text = (
        "---\nsummary: `0 = 1`\n---\n# Title `1 = 1`\n\nWords `x` and\n`2 * 3 = 6` and ``4 ≈ 4``.\n\n"
        "```python\na = `5 = 5`\n```\n\n$$\n`6 = 6`\n$$\n\n| a |\n|---|\n| `7 = 7` |\n\n- item `8 =\n  8`\n"
    )
    start = text.index("# Title")
    assert list(spans(text, start)) == [(4, "1 = 1"), (7, "2 * 3 = 6"), (7, "4 ≈ 4"), (19, "7 = 7"), (21, "8 =\n  8")]


@settings(deadline=None)
@given(st.integers(0, 10**12), st.integers(1, 10**12), st.sampled_from("+-*/"))
def test_agrees_with_fractions(a: int, b: int, sign: str) -> None:
    expected = {"+": Fraction(a) + b, "-": Fraction(a) - b, "*": Fraction(a) * b, "/": Fraction(a, b)}[sign]
    assert evaluate(f"{a:,} {sign} {b}") == expected
    if expected.denominator == 1:
        assert check(f"{a} {sign} {b} = {int(expected):,}") is None
        assert check(f"{a} {sign} {b} = {int(expected) + 1:,}") is not None


@settings(deadline=None)
@given(st.decimals(-1000, 1000, places=6), st.integers(0, 5))
def test_equals_accepts_the_rounded_value_and_not_its_neighbours(value: object, digits: int) -> None:
    shown = f"{value:.{digits}f}"
    left = f"({value})"
    assert check(f"{left} = {shown}") is None
    unit = Fraction(1, 10**digits)
    beside = Fraction(shown) + 2 * unit
    assert check(f"{left} = {float(beside):.{digits}f}") is not None


@settings(deadline=None)
@given(st.text(max_size=60), st.text(alphabet="0123456789.,e+-*/^()x= ≈sqrtlnogp", max_size=60))
def test_any_text_is_judged_without_an_exception(anything: str, arithmetic_like: str) -> None:
    for span in (anything, arithmetic_like, f"{arithmetic_like} = 1"):
        verdict = check(span)
        assert verdict is None or verdict
    assert all("=" in span or "≈" in span for _, span in spans(anything + "\n`" + arithmetic_like + "`"))
