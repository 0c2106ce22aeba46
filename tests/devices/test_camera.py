"""Stand-ins for cameras, some of which misbehave, through the real OpenCV in its process."""

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pytest

from benchmarks.devices.mjpeg import Look, NetworkCamera, PipeCamera
from edge.devices.camera import Camera
from edge.devices.frame import Frame
from edge.devices.frames import FROZEN_S
from edge.devices.health import Health
from edge.errors import DeviceError

PATIENCE_S = 30.0
T = TypeVar("T")
SCENE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


class Watched:
    """A camera and all it tells."""

    def __init__(self, source: str | Path) -> None:
        self.healths: queue.Queue[Health] = queue.Queue()
        self.camera = Camera(str(source), self.healths.put)

    def until(self, state: str) -> Health:
        while (health := self.healths.get(timeout=PATIENCE_S)).state != state:
            pass
        return health

    def frame(self, wanted: Callable[[Frame], bool] = lambda frame: True) -> Frame:
        def taken() -> Frame | None:
            frame = self.camera.frame_or_none()
            return frame if frame and wanted(frame) else None

        return self._eventually(taken)

    def fault(self) -> DeviceError:
        def refused() -> DeviceError | None:
            try:
                self.camera.latest()
            except DeviceError as error:
                return error
            return None

        return self._eventually(refused)

    @staticmethod
    def _eventually(ask: Callable[[], T | None]) -> T:
        pause, last_s = threading.Event(), time.monotonic() + PATIENCE_S
        while not (found := ask()):
            assert time.monotonic() < last_s
            pause.wait(0.02)
        return found


@pytest.fixture
def watch() -> Iterator[Callable[[str | Path], Watched]]:
    made: list[Watched] = []

    def start(source: str | Path) -> Watched:
        made.append(Watched(source))
        return made[-1]

    yield start
    for one in made:
        one.camera.close()


@pytest.fixture(scope="module")
def network_camera() -> Iterator[NetworkCamera]:
    with NetworkCamera() as camera:
        yield camera


@pytest.fixture
def pipe_camera(tmp_path: Path) -> Iterator[PipeCamera]:
    with PipeCamera(tmp_path / "pipe") as camera:
        yield camera


def save(path: Path, picture: np.ndarray) -> None:
    """As programs do that let nobody see half a picture."""
    temporary = path.with_suffix(".tmp" + path.suffix)
    cv2.imwrite(str(temporary), picture[..., ::-1])
    temporary.rename(path)


Watch = Callable[[str | Path], Watched]


def test_a_picture_stands_in_for_a_camera_and_is_never_frozen(watch: Watch, tmp_path: Path) -> None:
    save(tmp_path / "scene.png", SCENE)
    watched = watch(tmp_path / "scene.png")
    first = watched.frame()
    assert np.array_equal(first.rgb, SCENE) and not first.rgb.flags.writeable
    later = watched.frame(lambda frame: frame.taken_s > first.taken_s + FROZEN_S + 0.5)
    assert later.number > first.number
    assert watched.until("live").device == str(tmp_path / "scene.png")


def test_a_picture_that_is_replaced_by_one_of_another_size_is_seen(watch: Watch, tmp_path: Path) -> None:
    save(tmp_path / "scene.png", SCENE)
    watched = watch(tmp_path / "scene.png")
    watched.frame()
    save(tmp_path / "scene.png", SCENE[:30, :40])
    assert np.array_equal(watched.frame(lambda frame: frame.rgb.shape != SCENE.shape).rgb, SCENE[:30, :40])


def test_a_huge_picture_is_reduced_to_what_the_model_can_see(watch: Watch, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "huge.png"), cv2.resize(SCENE, (5000, 1000)))
    assert watch(tmp_path / "huge.png").frame().rgb.shape == (768, 3840, 3)


def test_a_folder_shows_its_newest_whole_picture(watch: Watch, tmp_path: Path) -> None:
    save(tmp_path / "1.png", SCENE)
    watched = watch(tmp_path)
    watched.frame()
    (tmp_path / "2.jpg").write_bytes(cv2.imencode(".jpg", SCENE)[1].tobytes()[:-100])
    save(tmp_path / "3.png", SCENE[::-1])
    os.utime(tmp_path / "2.jpg", (time.time() + 5, time.time() + 5))
    assert np.array_equal(watched.frame(lambda frame: not np.array_equal(frame.rgb, SCENE)).rgb, SCENE[::-1])


def test_a_folder_into_which_nothing_is_written_any_more_is_not_the_present(watch: Watch, tmp_path: Path) -> None:
    save(tmp_path / "1.png", SCENE)
    os.utime(tmp_path / "1.png", (time.time() - 3 * 3600, time.time() - 3 * 3600))
    watched = watch(tmp_path)
    watched.until("live")
    assert "the last picture is 3 hours old: nothing new is written" in str(watched.fault())


def test_a_recording_is_repeated(watch: Watch, tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (320, 240))
    chance = np.random.default_rng(0)
    for level in range(40, 200, 4):  # two seconds that become brighter
        writer.write(np.clip(chance.normal(level, 3, (240, 320, 3)), 0, 255).astype(np.uint8))
    writer.release()
    watched = watch(tmp_path / "clip.avi")
    bright = watched.frame(lambda frame: frame.rgb.mean() > 140)
    watched.frame(lambda frame: frame.number > bright.number and frame.rgb.mean() < 90)
    assert watched.camera.health.state == "live"


@pytest.mark.parametrize("look", ["black", "green", "frozen"])
def test_what_shows_nothing_real_is_refused_until_it_does(
    watch: Watch, network_camera: NetworkCamera, look: Look
) -> None:
    reasons = {"black": "only black", "green": "one single colour", "frozen": "stopped moving"}
    watched = watch(network_camera.url)
    watched.frame()
    network_camera.show.look = look
    error = watched.fault()
    network_camera.show.look = "live"
    assert reasons[look] in str(error) and error.hint
    watched.frame()


def test_a_stream_that_changes_its_size_goes_on(watch: Watch, network_camera: NetworkCamera) -> None:
    watched = watch(network_camera.url)
    number = watched.frame().number
    network_camera.show.look = "large"
    watched.frame(lambda frame: frame.number > number + 3)
    network_camera.show.look = "live"
    assert [health.state for health in iter_now(watched.healths)] == ["opening", "live"]


def test_a_network_camera_that_hangs_is_noticed_and_comes_back(watch: Watch) -> None:
    with NetworkCamera() as network_camera:
        watched = watch(network_camera.url)
        watched.frame()
        network_camera.show.look = "hang"
        assert "old: the camera hangs" in str(watched.fault())
        assert "sends nothing more" in watched.until("stalled").reason
        network_camera.show.look = "live"
        watched.frame()


def test_a_network_camera_that_leaves_is_noticed_and_comes_back(watch: Watch) -> None:
    with NetworkCamera() as network_camera:
        watched = watch(network_camera.url)
        watched.frame()
        network_camera.leave()
        assert "sends no more pictures" in watched.until("absent").reason
        assert "old" in str(watched.fault())
        network_camera.come_back()
        watched.frame()


def test_a_pipe_that_dries_up_is_noticed_and_its_writer_survives(watch: Watch, pipe_camera: PipeCamera) -> None:
    watched = watch(pipe_camera.path)
    watched.frame()
    pipe_camera.show.look = "hang"
    assert "does the program" in watched.until("stalled").hint
    pipe_camera.show.look = "live"
    watched.frame()


def test_a_pipe_that_nobody_writes_into_says_so(watch: Watch, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    watched = watch(tmp_path / "pipe")
    assert "nobody writes into" in watched.until("absent").reason
    assert "nobody writes into" in str(watched.fault())


@pytest.mark.parametrize("end", [signal.SIGSTOP, signal.SIGKILL])
def test_the_cameras_process_may_hang_or_die(watch: Watch, network_camera: NetworkCamera, end: signal.Signals) -> None:
    watched = watch(network_camera.url)
    number = watched.frame().number
    pid = watched.camera.pid
    assert pid
    os.kill(pid, end)
    watched.until("stalled" if end == signal.SIGSTOP else "absent")
    watched.frame(lambda frame: frame.number > number)
    assert watched.camera.pid != pid


def test_what_is_plugged_in_later_is_found(watch: Watch, tmp_path: Path) -> None:
    watched = watch(tmp_path / "scene.png")
    assert "neither a camera nor a file" in watched.until("absent").reason
    assert "neither a camera nor a file" in str(watched.fault())
    save(tmp_path / "scene.png", SCENE)
    watched.frame()


@pytest.mark.parametrize(
    ("name", "reason"), [("text.avi", "cannot be opened"), ("half.png", "damaged"), (".", "no picture in")]
)
def test_what_is_no_camera_is_named(watch: Watch, tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "text.avi").write_text("no video")
    if name == "half.png":
        (tmp_path / name).write_bytes(cv2.imencode(".png", SCENE)[1].tobytes()[:-200])
    health = watch(tmp_path / name).until("absent")
    assert reason in health.reason and health.hint


def test_a_password_is_shown_nowhere(watch: Watch, network_camera: NetworkCamera) -> None:
    watched = watch(network_camera.url.replace("//", "//admin:secret@") + "?password=secret")
    watched.frame()
    assert b"secret" not in Path(f"/proc/{watched.camera.pid}/cmdline").read_bytes()
    assert not [health for health in iter_now(watched.healths) if "secret" in str(health)]


def test_nothing_is_left_after_closing(pipe_camera: PipeCamera) -> None:
    threads, descriptors = set(threading.enumerate()), len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(2):
        watched = Watched(pipe_camera.path)
        watched.frame()
        pid = watched.camera.pid
        watched.camera.close()
        watched.camera.close()
        assert pid and not Path(f"/proc/{pid}").exists()
        assert watched.camera.frame_or_none() is None
    assert not set(threading.enumerate()) - threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors


def iter_now(healths: "queue.Queue[Health]") -> Iterator[Health]:
    while not healths.empty():
        yield healths.get()
