"""Evaluates the arithmetic that stands in code spans: ``1,000,000 * 128 * 4 = 512,000,000``.

``=`` is exact to the digits shown on its right, ``≈`` allows 2 %; chains such as ``a = b ≈ c`` compare neighbours.
Sums are done in fractions, so that ``0.1 * 3 = 0.3`` holds. This module knows no notes and runs no code: Python's
parser is used for its grammar, and only names that stand for numbers, operators and five functions are evaluated.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Context, Decimal
from fractions import Fraction

from tutor.markdown import blocks

NEARLY = Fraction(2, 100)
"""How far the two sides of ``≈`` may differ, as a share of the left side."""

MAX_LENGTH = 500
"""Longer spans are refused."""

_MAX_POWER = 1000  # of ten: larger or smaller values are refused, which stops 9^9^9
_MAX_BITS = 200_000  # fractions with more are rounded to 50 digits, which bounds the work
_MAX_DEPTH = 50
_DECIMAL = Context(prec=50, Emax=999_999, Emin=-999_999)

_CODE = re.compile(r"(?<![\\`])(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?"
_LITERAL = re.compile(rf"\s*[-−]?\s*({_NUMBER})\s*")
_TOKEN = re.compile(
    rf"\s*(?:(?P<number>{_NUMBER})(?!(?!x)[\w.,])|(?P<function>sqrt|log2|ln|log10|exp)(?=\s*\()|(?P<operator>[-+*/^()×·−÷x]))"
)
_OPERATORS = {"×": "*", "·": "*", "x": "*", "−": "-", "÷": "/", "^": "**"}


class _Wrong(ValueError):
    """A span that cannot be evaluated; the text says why."""


def spans(text: str, start: int = 0) -> Iterator[tuple[int, str]]:
    """(1-based line in ``text``, content) of each code span at or after ``start`` that holds ``=`` or ``≈``.

    Fenced blocks, formulas and HTML are passed over.
    """
    for block in blocks(text[start:]):
        if block.kind in ("code", "diagram", "formula", "html"):
            continue
        for match in _CODE.finditer(text[start + block.start : start + block.end]):
            if "=" in match[2] or "≈" in match[2]:
                yield text.count("\n", 0, start + block.start + match.start()) + 1, match[2].strip()


def check(span: str) -> str | None:
    """None when every relation of the span holds, else what is wrong with it. Never raises."""
    try:
        return _check(span)
    except _Wrong as wrong:
        return f"`{_short(span)}`: {wrong}"


def _check(span: str) -> str | None:
    if len(span) > MAX_LENGTH:
        raise _Wrong(f"the span is longer than {MAX_LENGTH} characters")
    sides = re.split(r"([=≈])", span)
    if len(sides) < 3:
        raise _Wrong("there is no = or ≈")
    values = [evaluate(side) for side in sides[::2]]
    for at, relation in enumerate(sides[1::2]):
        left, right = values[at], values[at + 1]
        lhs, rhs = sides[2 * at].strip(), sides[2 * at + 2].strip()
        allowed = abs(left) * NEARLY if relation == "≈" else _exactness(rhs, left)
        if abs(left - right) > allowed:
            raise _Wrong(f"{_short(lhs)} comes to {_shown(left)}, not {relation} {_short(rhs)}")
    return None


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"


def evaluate(expression: str) -> Fraction:
    """The value of one side of a span. Raises ValueError with the reason when it is not arithmetic."""
    source, numbers = _translate(expression)
    try:
        tree = ast.parse(source, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # nesting beyond the parser's own stack is the last
        raise _Wrong(f"{_short(expression.strip())!r} is not an expression") from None
    return _value(tree.body, numbers, 0)


def _translate(expression: str) -> tuple[str, Mapping[str, Fraction]]:
    """The expression in Python's grammar, each number replaced by a name so that none is read as a float."""
    if not expression.strip():
        raise _Wrong("one side is empty")
    parts: list[str] = []
    numbers: dict[str, Fraction] = {}
    at, end = 0, len(expression.rstrip())
    while at < end:
        match = _TOKEN.match(expression, at)
        if match is None:
            raise _Wrong(f"cannot read {_short(expression[at:].strip())!r}; only numbers, + - * / ^ ( ) and functions")
        if match["number"]:
            name = f"n{len(numbers)}"
            numbers[name] = _number(match["number"])
            parts.append(name)
        elif match["function"]:
            parts.append(match["function"])
        else:
            parts.append(_OPERATORS.get(match["operator"], match["operator"]))
        at = match.end()
    return " ".join(parts), numbers


def _number(digits: str) -> Fraction:
    _, _, power = digits.lower().partition("e")
    if len(power) > 5 or abs(int(power or 0)) > _MAX_POWER:
        raise _Wrong(f"{digits} is out of range")
    return Fraction(digits.replace(",", ""))


def _exactness(side: str, value: Fraction) -> Fraction:
    """Half a unit of the last digit shown: 0.5 for ``512,000,000``, 5e9 for ``5.12e12``, and nothing (but the rounding
    of functions) when the side is an expression rather than a number."""
    literal = _LITERAL.fullmatch(side)
    if literal is None:
        return abs(value) / 10**12
    mantissa, _, power = literal[1].lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return Fraction(10) ** (int(power or 0) - decimals) / 2


def _value(node: ast.expr, numbers: Mapping[str, Fraction], depth: int) -> Fraction:
    if depth > _MAX_DEPTH:
        raise _Wrong(f"it is nested more than {_MAX_DEPTH} levels deep")
    match node:
        case ast.Name(id=name) if name in numbers:
            return numbers[name]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value = _value(operand, numbers, depth + 1)
            return -value if isinstance(sign, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            a, b = _value(left, numbers, depth + 1), _value(right, numbers, depth + 1)
            return _bounded(_BINARY[type(op)](a, b))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            return _bounded(_function(name, _value(argument, numbers, depth + 1)))
    raise _Wrong("it is not plain arithmetic (is an operator missing?)")


def _bounded(value: Fraction) -> Fraction:
    if value and abs(_magnitude(value)) > _MAX_POWER:
        raise _Wrong(f"a value passes 1e{_MAX_POWER}")
    if value.numerator.bit_length() + value.denominator.bit_length() > _MAX_BITS:
        return Fraction(_decimal(value))
    return value


def _magnitude(value: Fraction) -> float:
    """The power of ten of a value other than 0, to within one."""
    return (value.numerator.bit_length() - value.denominator.bit_length()) * 0.30103


def _decimal(value: Fraction) -> Decimal:
    return _DECIMAL.divide(Decimal(value.numerator), Decimal(value.denominator))


def _divide(a: Fraction, b: Fraction) -> Fraction:
    if b == 0:
        raise _Wrong("it divides by zero")
    return a / b


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if base == 0 and exponent < 0:
        raise _Wrong("it divides by zero")
    if base < 0 and exponent.denominator != 1:
        raise _Wrong("a fractional power of a negative number has no real value")
    if base == 0 or abs(base) == 1:
        return base ** (exponent.numerator % 2 or 2) if exponent.denominator == 1 and exponent else abs(base) ** 0
    logarithm = _DECIMAL.multiply(_decimal(exponent), _DECIMAL.log10(abs(_decimal(base))))
    if abs(logarithm) > _MAX_POWER:
        raise _Wrong(f"a power passes 1e{_MAX_POWER}")
    bits = base.numerator.bit_length() + base.denominator.bit_length()
    if exponent.denominator == 1 and bits * abs(exponent.numerator) <= _MAX_BITS:
        return Fraction(base ** int(exponent))
    return Fraction(_DECIMAL.power(_decimal(base), _decimal(exponent)))


def _function(name: str, value: Fraction) -> Fraction:
    if name == "sqrt" and value < 0:
        raise _Wrong("the square root of a negative number has no real value")
    if name in ("ln", "log2", "log10") and value <= 0:
        raise _Wrong(f"{name} needs a number above zero")
    if name == "exp" and abs(value) > 2.3 * _MAX_POWER:
        raise _Wrong(f"a power passes 1e{_MAX_POWER}")
    return Fraction(_FUNCTIONS[name](_decimal(value)))


_BINARY: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divide,
    ast.Pow: _power,
}
_FUNCTIONS: Mapping[str, Callable[[Decimal], Decimal]] = {
    "sqrt": _DECIMAL.sqrt,
    "ln": _DECIMAL.ln,
    "log10": _DECIMAL.log10,
    "log2": lambda value: _DECIMAL.divide(_DECIMAL.ln(value), _DECIMAL.ln(Decimal(2))),
    "exp": _DECIMAL.exp,
}


def _shown(value: Fraction) -> str:
    """A value for a reader: whole numbers in full, others to six significant digits."""
    if value.denominator == 1 and abs(value) < 10**16:
        return f"{int(value):,}"
    return f"{Context(prec=6).create_decimal(_decimal(value)):g}"
