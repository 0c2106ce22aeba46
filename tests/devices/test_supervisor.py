"""A device's process may hang, die or talk nonsense: it is noticed, told, and started again."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.devices.health import Health
from edge.devices.messages import DATA, FAILED, READY, Parser
from edge.devices.supervisor import Plan, Supervisor
from edge.errors import DeviceError

PATIENCE_S = 30.0


class Watched:
    """A supervisor and everything it tells."""

    def __init__(self, *plans: list[str] | DeviceError, silent_s: float = 0.5, opening_s: float = 20.0) -> None:
        self.healths: queue.Queue[Health] = queue.Queue()
        self.data: queue.Queue[bytes] = queue.Queue()
        self.opened: queue.Queue[dict[str, object]] = queue.Queue()
        self._plans = iter(plans)
        self._last: list[str] | DeviceError = plans[-1]
        self.supervisor = Supervisor(self._plan, self.opened.put, self.data.put, self.healths.put, silent_s, opening_s)
        self.supervisor.start()

    def _plan(self) -> Plan:
        plan = next(self._plans, self._last)
        if isinstance(plan, DeviceError):
            raise plan
        return Plan("tests.devices.talkative", plan, "device", {})

    def until(self, state: str) -> Health:
        while (health := self.healths.get(timeout=PATIENCE_S)).state != state:
            pass
        return health


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def start(*plans: list[str] | DeviceError, **options: float) -> Watched:
        made.append(Watched(*plans, **options))
        return made[-1]

    yield start
    for one in made:
        one.supervisor.close()


def test_what_the_process_sends_arrives_in_order(watch: Callable[..., Watched]) -> None:
    watched = watch(["ready:Mic", "data:one", "data:two", "silent"])
    assert watched.data.get(timeout=PATIENCE_S) == b"one"
    assert watched.data.get(timeout=PATIENCE_S) == b"two"
    assert watched.until("live").device == "Mic"
    assert watched.opened.get_nowait() == {"device": "Mic"}


def test_a_silent_device_has_stalled_and_is_opened_again(watch: Callable[..., Watched]) -> None:
    watched = watch(["ready", "data:a", "silent"], ["ready", "data:b", "silent"])
    watched.until("live")
    assert "nothing more" in watched.until("stalled").reason
    watched.until("live")
    assert [watched.data.get(timeout=PATIENCE_S) for _ in range(2)] == [b"a", b"b"]


def test_a_device_that_never_sends_is_given_up(watch: Callable[..., Watched]) -> None:
    watched = watch(["silent"], opening_s=0.3)
    assert watched.until("stalled").reason == "device sends nothing"


@pytest.mark.parametrize("end", [["fail:it is busy"], ["ready", "data:x", "fail:it is busy"]])
def test_the_reason_that_the_process_gives_is_told(watch: Callable[..., Watched], end: list[str]) -> None:
    health = watch(end).until("absent")
    assert (health.reason, health.hint) == ("it is busy", "try another")


def test_nonsense_in_the_pipe_ends_the_process_but_not_the_supervisor(watch: Callable[..., Watched]) -> None:
    watched = watch(["garbage", "silent"], ["ready", "data:fine", "silent"])
    assert "not a message" in watched.until("absent").reason
    watched.until("live")


def test_a_device_that_is_not_there_is_looked_for_again(watch: Callable[..., Watched]) -> None:
    watched = watch(DeviceError("no such microphone", "edge devices"), ["ready", "data:x", "silent"])
    missing = watched.until("absent")
    assert (missing.reason, missing.hint) == ("no such microphone", "edge devices")
    watched.until("live")


def test_a_killed_process_is_replaced(watch: Callable[..., Watched], tmp_path: Path) -> None:
    (tmp_path / "on").touch()
    watched = watch(["ready", "wait", str(tmp_path / "on")])
    watched.until("live")
    first = watched.supervisor.pid
    assert first
    os.kill(first, signal.SIGKILL)
    watched.until("absent")
    watched.until("live")
    assert watched.supervisor.pid != first


def test_a_stopped_process_counts_as_stalled(watch: Callable[..., Watched], tmp_path: Path) -> None:
    (tmp_path / "on").touch()
    watched = watch(["ready", "wait", str(tmp_path / "on")])
    watched.until("live")
    assert watched.supervisor.pid
    os.kill(watched.supervisor.pid, signal.SIGSTOP)
    watched.until("stalled")
    watched.until("live")


def test_a_restart_says_why(watch: Callable[..., Watched], tmp_path: Path) -> None:
    (tmp_path / "on").touch()
    watched = watch(["ready", "wait", str(tmp_path / "on")])
    watched.until("live")
    watched.supervisor.restart("the source moved")
    assert watched.until("absent").reason == "the source moved"
    watched.until("live")


def test_nothing_is_left_after_closing(watch: Callable[..., Watched], tmp_path: Path) -> None:
    (tmp_path / "on").touch()
    threads, descriptors = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        watched = watch(["ready", "wait", str(tmp_path / "on")])
        watched.until("live")
        pid = watched.supervisor.pid
        watched.supervisor.close()
        watched.supervisor.close()
        assert pid and not Path(f"/proc/{pid}").exists()
    assert threading.active_count() == threads
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_the_process_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "on").touch()
    parent = (
        "import time; from edge.devices.supervisor import *\n"
        "s = Supervisor("
        f"lambda: Plan('tests.devices.talkative', ['ready', 'wait', {str(tmp_path / 'on')!r}], '', {{}}),\n"
        " print, lambda d: None, lambda h: print(h.state, s.pid, flush=True))\n"
        "s.start(); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pid = next(line.split()[1] for line in process.stdout if line.startswith("live"))
        process.kill()
    child = Path(f"/proc/{pid}/stat")
    waited = threading.Event()
    while child.exists() and child.read_text().split()[2] != "Z":
        assert not waited.wait(0.05)


MESSAGES = st.lists(st.tuples(st.sampled_from([READY, FAILED, DATA]), st.binary(max_size=40)), max_size=8)


@given(MESSAGES, st.lists(st.integers(1, 20), min_size=1))
def test_messages_survive_any_split_of_the_pipe(messages: list[tuple[bytes, bytes]], sizes: list[int]) -> None:
    from edge.devices.messages import send

    reading, writing = os.pipe()
    for kind, payload in messages:
        send(writing, kind, payload)
    os.close(writing)
    parser, found, turn = Parser(), [], 0
    while data := os.read(reading, sizes[turn % len(sizes)]):
        found += parser.push(data)
        turn += 1
    os.close(reading)
    assert found == messages
