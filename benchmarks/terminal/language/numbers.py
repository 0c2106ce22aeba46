"""Numbers as people say them."""

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def in_words(number: int) -> str:
    """0 to 999, such as `two hundred forty five`. Raises ValueError beyond."""
    if not 0 <= number <= 999:
        raise ValueError(f"{number} is not from 0 to 999")
    hundreds, rest = divmod(number, 100)
    words = [DIGITS[hundreds], "hundred"] if hundreds else []
    if rest or not hundreds:
        if rest < 10:
            words.append(DIGITS[rest])
        elif rest < 20:
            words.append(_TEENS[rest - 10])
        else:
            tens, ones = divmod(rest, 10)
            words += [_TENS[tens - 2], DIGITS[ones]] if ones else [_TENS[tens - 2]]
    return " ".join(words)


def digit_words(digits: str) -> str:
    """`305` as `three zero five`."""
    return " ".join(DIGITS[int(digit)] for digit in digits)
