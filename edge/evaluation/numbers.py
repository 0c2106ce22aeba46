"""A number as a display shows it, found in an answer."""

import re

_NUMBER = re.compile(r"(?<![\w.,])[-+−]?(?:\d+(?:[.,]\d+)*|[.,]\d+)")


def only_number(text: str) -> str | None:
    """The number in `text`, sign and leading zeros as written; None when there is none or several different ones.

    Digits inside a word, as in a part number A12, are none.
    """
    found = {match[0].replace("−", "-") for match in _NUMBER.finditer(text)}
    return found.pop() if len(found) == 1 else None


def whole_part(number: str) -> int:
    """What stands before the last point or comma, as an integer: 066.00 -> 66.

    A single comma before three digits groups thousands, and so do commas beside a point.
    """
    sign = -1 if number.startswith("-") else 1
    digits = number.lstrip("+-")
    if re.fullmatch(r"\d{1,3}(,\d{3})+", digits):
        return sign * int(digits.replace(",", ""))
    whole = re.split(r"[.,](?=\d+$)", digits)[0]
    return sign * int(re.sub(r"[.,]", "", whole) or 0)
