"""Transcripts compared word by word: Whisper's normalisers and jiwer, which belong to the extra `eval`."""

from functools import cache
from typing import Any, NamedTuple

from edge.errors import UsageError


class Errors(NamedTuple):
    """`wrong` words are substituted, deleted or inserted ones; `words` are those of the reference."""

    wrong: int
    words: int


def word_errors(expected: str, said: str) -> Errors:
    """After Whisper's English normaliser, which writes numbers as figures: 'one two three' is the one word 123."""
    normalise = _tools()[1]
    return _compare(normalise(expected), normalise(said))


def basic_word_errors(expected: str, said: str) -> Errors:
    """After Whisper's basic normaliser (case, punctuation), which is for every language and keeps number words."""
    normalise = _tools()[2]
    return _compare(normalise(expected), normalise(said))


def require_word_tools() -> None:
    """Raises UsageError when the extra is not installed."""
    _tools()


def _compare(expected: str, said: str) -> Errors:
    result = _tools()[0]([expected], [said])
    wrong = result.substitutions + result.deletions + result.insertions
    return Errors(wrong, result.hits + result.substitutions + result.deletions)


@cache
def _tools() -> tuple[Any, Any, Any]:
    """jiwer.process_words and the two normalisers."""
    try:
        from jiwer import process_words
        from whisper_normalizer.basic import BasicTextNormalizer
        from whisper_normalizer.english import EnglishTextNormalizer
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Word error rates need the package {error.name}, which is not installed.",
            'Install it: pip install "phi-edge[eval]"',
        ) from None
    return process_words, EnglishTextNormalizer(), BasicTextNormalizer()
