"""What a long piece of work says of itself without a terminal: a line now and then, with the time that is left."""

import re

import pytest

from edge.cli import console


def told(reports: list[tuple[float, int, int]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lines for (seconds, bytes done, bytes in all), on a clock of the test's own."""
    lines: list[str] = []
    now = iter([0.0, *(seconds for seconds, _, _ in reports)])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(now))
    monkeypatch.setattr(console, "say", lines.append)
    with console.bytes_progress("exporting") as update:
        for _, done, total in reports:
            update(done, total, "layer")
    return lines


@pytest.fixture(autouse=True)
def without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")


def left(line: str) -> int:
    found = re.search(r"(\d+) s left", line)
    assert found, line
    return int(found[1])


def test_the_time_left_follows_from_what_was_done_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told([(0, 0, 1000), (20, 200, 1000), (40, 400, 1000)], monkeypatch)
    assert [left(line) for line in lines] == [80, 60]


def test_work_that_comes_after_has_a_rate_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibration comes after weighing, which is ten times as fast, and begins at 0 again."""
    fast = [(0, 0, 1000), (20, 900, 1000)]
    slow = [(30, 0, 1000), (130, 100, 1000)]
    assert left(told([*fast, *slow], monkeypatch)[-1]) == 900


def test_nothing_is_said_of_the_speed_of_an_earlier_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed export begins with what is there."""
    lines = told([(0, 900, 1000), (20, 900, 1000), (40, 920, 1000)], monkeypatch)
    assert "left" not in lines[0]
    assert left(lines[1]) == 160
