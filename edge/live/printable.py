"""Foreign text on a screen that somebody decides by."""


def printable(text: str) -> str:
    r"""`text` with escapes such as \x1b or \u202e for all that has no shape: control characters, line ends, marks that
    turn the direction of text around, invisible spaces."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
