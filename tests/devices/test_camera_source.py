"""What a word on the command line means as a camera."""

import os
from pathlib import Path

import pytest

from edge.devices.camera_source import CameraSource, Kind, cameras, find_source
from edge.devices.video_device import check_video_device
from edge.errors import DeviceError


class Machine:
    """The two folders in which Linux shows its cameras."""

    def __init__(self, folder: Path) -> None:
        self.names, self.devices = folder / "names", folder / "dev"
        self.names.mkdir()
        self.devices.mkdir()

    def plug(self, number: int, name: str, index: int = 0) -> None:
        folder = self.names / f"video{number}"
        folder.mkdir()
        (folder / "name").write_text(f"{name}\n")
        (folder / "index").write_text(f"{index}\n")
        (self.devices / f"video{number}").touch()

    def find(self, text: str) -> CameraSource:
        return find_source(text, self.names, self.devices)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.plug(0, "HD Pro Webcam")
    machine.plug(1, "HD Pro Webcam", index=1)  # its metadata
    machine.plug(2, "Microscope")
    return machine


def test_a_camera_is_listed_once_though_it_has_several_devices(machine: Machine) -> None:
    assert cameras(machine.names) == {0: "HD Pro Webcam", 2: "Microscope"}


@pytest.mark.parametrize("text", ["0", "hd pro", "WEBCAM", "HD Pro Webcam"])
def test_a_number_and_a_part_of_the_name_mean_the_same_camera(machine: Machine, text: str) -> None:
    path = machine.devices / "video0"
    assert machine.find(text) == CameraSource("device", str(path), f"HD Pro Webcam ({path})")


def test_a_name_that_means_two_cameras_is_refused_and_both_are_told(machine: Machine) -> None:
    machine.plug(4, "Microscope II")
    assert machine.find("microscope").address.endswith("video2")
    with pytest.raises(DeviceError, match=r"2 cameras: Microscope \(2\) and Microscope II \(4\)") as caught:
        machine.find("scope")
    assert "number" in caught.value.hint


@pytest.mark.parametrize("text", ["7", "telescope", "missing/clip.avi", ""])
def test_what_is_not_there_is_refused_with_what_is(machine: Machine, text: str) -> None:
    with pytest.raises(DeviceError) as caught:
        machine.find(text)
    assert "0 (HD Pro Webcam), 2 (Microscope)" in caught.value.hint
    assert caught.value.exit_code == 5


def test_without_a_camera_the_hint_says_what_can_stand_in(tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as caught:
        Machine(tmp_path).find("0")
    assert "video file" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.png", b"\x89PNG\r\n\x1a\n", "picture"),
        ("misnamed.avi", b"\xff\xd8\xff", "picture"),
        ("b", b"?", "recording"),
    ],
)
def test_files_are_known_by_their_content(tmp_path: Path, name: str, data: bytes, kind: Kind) -> None:
    (tmp_path / name).write_bytes(data)
    assert find_source(str(tmp_path / name)).kind == kind


def test_folders_pipes_and_device_files_are_told_apart(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert find_source(str(tmp_path)).kind == "folder"
    assert find_source(str(tmp_path / "pipe")).kind == "pipe"
    assert find_source("/dev/null").kind == "device"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://10.0.0.2:8080/video.mjpg", "http://10.0.0.2:8080/video.mjpg"),
        ("rtsp://admin:secret@camera.local/live?password=secret#secret", "rtsp://camera.local/live"),
        ("https://[fe80::1]:8443/secretless", "https://[fe80::1]:8443/secretless"),
    ],
)
def test_a_url_is_shown_without_what_may_be_a_password(url: str, shown: str) -> None:
    assert find_source(url) == CameraSource("url", url, shown)


@pytest.mark.parametrize("url", ["ftp://host/a", "http://", "http://host:port/", "file:///etc/passwd", "rtsp://[::/"])
def test_what_is_no_url_of_a_camera_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(DeviceError, match="the URL is not one of a camera"):
        find_source(url)


def test_a_device_that_is_no_camera_is_named() -> None:
    with pytest.raises(DeviceError, match="/dev/null is not a camera"):
        check_video_device("/dev/null", "/dev/null")


def test_a_device_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="Webcam is not there any more"):
        check_video_device(str(tmp_path / "video0"), "Webcam")
