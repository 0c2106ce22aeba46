"""The whole loop without a microphone: how it begins, what it refuses, and that nothing is left."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import edge as phi_edge
from benchmarks.demo import __main__ as demo
from edge.devices.health import Health
from edge.errors import BundleError, DeviceError, EdgeError, InputError, UsageError
from edge.live.listener import Listener, Wishes
from edge.live.screen import State
from tests.live.parts import RecordingScreen
from tests.live.tools_files import PATIENCE_S

SEEN_CROPS = 36


class Awaited(RecordingScreen):
    """Tells when the microphone is known to be absent, and when the bundle is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.absent, self.loaded = threading.Event(), threading.Event()

    def microphone(self, health: Health) -> None:
        super().microphone(health)
        if health.state == "absent":
            self.absent.set()

    def state(self, state: State) -> None:
        super().state(state)
        self.loaded.set()


class Running:
    """A listener whose loop runs in a thread. `error` is what ended it."""

    def __init__(self, load: Callable[[], phi_edge.Model], wishes: Wishes) -> None:
        self.screen = Awaited()
        self.listener = Listener(load, wishes, self.screen)
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.listener.run()
        except EdgeError as error:
            self.error = error

    def ended(self) -> Exception | None:
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        return self.error


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent")
    made: list[Running] = []

    def begin(load: Callable[[], phi_edge.Model], wishes: Wishes | None = None) -> Running:
        made.append(Running(load, wishes or Wishes()))
        return made[-1]

    yield begin
    for one in made:
        one.listener.stop()
        one.ended()
        one.listener.close()


def embedded() -> phi_edge.Model:
    return phi_edge.load(mode="speech")


def test_the_bundle_is_loaded_while_the_microphone_is_looked_for(start: Start) -> None:
    running = start(embedded)
    assert running.screen.absent.wait(PATIENCE_S) and running.screen.loaded.wait(PATIENCE_S)
    reasons = {health.reason for health in running.screen.all("microphone") if health.state == "absent"}
    assert reasons == {"the PortAudio library is missing"}
    assert running.screen.all("state") == ["deaf"]


def test_keys_that_come_too_early_do_no_harm(start: Start) -> None:
    go_on = threading.Event()

    def slowly() -> phi_edge.Model:
        assert go_on.wait(PATIENCE_S)
        return embedded()

    running = start(slowly)
    for key in ("m", "space", "escape", "y"):
        running.listener.key(key)
    assert running.screen.absent.wait(PATIENCE_S)
    go_on.set()
    assert running.screen.loaded.wait(PATIENCE_S)


def test_it_can_be_stopped_while_the_bundle_is_still_being_loaded(start: Start) -> None:
    go_on = threading.Event()

    def for_ever() -> phi_edge.Model:
        go_on.wait(PATIENCE_S)
        raise BundleError("too late")

    running = start(for_ever)
    running.listener.stop()
    assert running.ended() is None
    running.listener.close()
    go_on.set()


@pytest.mark.parametrize("error", [BundleError("it is damaged", "edge pull"), InputError("it has no mode speech")])
def test_a_bundle_that_cannot_be_loaded_ends_the_loop_with_the_reason(start: Start, error: EdgeError) -> None:
    def load() -> phi_edge.Model:
        raise error

    assert start(load).ended() is error


def test_a_wish_that_the_bundle_cannot_grant_ends_the_loop(start: Start) -> None:
    wishes = Wishes(options=phi_edge.TurnOptions(max_crops=SEEN_CROPS * 100))
    assert isinstance(start(embedded, wishes).ended(), UsageError)


@pytest.mark.parametrize(
    ("wishes", "kind"),
    [
        (Wishes(tools=Path("/nonexistent.json")), InputError),
        (Wishes(speak="no-such-voice"), DeviceError),
        (Wishes(speak="espeak-ng 'x"), UsageError),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_opened(wishes: Wishes, kind: type[EdgeError]) -> None:
    before = threading.active_count()
    with pytest.raises(kind):
        Listener(embedded, wishes, RecordingScreen())
    assert threading.active_count() == before


def test_after_an_error_no_thread_and_no_process_is_left(start: Start) -> None:
    """Then the interpreter ends in the usual way, which must not find the runtime at work."""
    before = set(threading.enumerate())

    def load() -> phi_edge.Model:
        raise BundleError("it is damaged")

    running = start(load, Wishes(tools=demo.FOLDER / "tools.json"))
    assert running.ended()
    running.listener.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), thread.name
