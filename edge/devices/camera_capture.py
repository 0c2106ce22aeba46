"""A device, recording, pipe or URL opened with OpenCV; only in the camera's process, where it may hang or crash."""

import os
import select

import cv2

from edge.devices.camera_source import CameraSource
from edge.devices.video_device import check_video_device
from edge.errors import DeviceError

WIDTH, HEIGHT = 1280, 720
"""Asked of a camera, which takes what it has that is close. OpenCV itself would ask for 640 x 480."""

OPEN_MS, READ_MS, WRITER_MS = 8000, 4000, 3000


def open_capture(source: CameraSource) -> cv2.VideoCapture:
    """Raises DeviceError, also for a pipe that nobody has written into for three seconds."""
    network = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_MS]
    try:
        if source.kind == "device":
            check_video_device(source.address, source.name)
            number = source.address.isdecimal()  # of a camera where devices are no files
            address, system = (int(source.address), cv2.CAP_ANY) if number else (source.address, cv2.CAP_V4L2)
            capture = cv2.VideoCapture(address, system)
            # as parameters of the constructor they would have to be obeyed
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, WIDTH)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, HEIGHT)
        elif source.kind == "pipe":
            # FFmpeg would wait for a writer without end
            capture = cv2.VideoCapture(f"pipe:{_pipe(source)}", cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        else:
            # several decoding threads would each hold back a picture
            capture = cv2.VideoCapture(source.address, cv2.CAP_FFMPEG, [*network, cv2.CAP_PROP_N_THREADS, 1])
    except cv2.error:
        capture = None
    if capture is None or not capture.isOpened():
        hint = {"url": "is it switched on, and is the address right?", "device": "unplug it and plug it in again"}
        raise DeviceError(f"{source.name} cannot be opened", hint.get(source.kind, "is it a recording or MJPEG?"))
    return capture


def _pipe(source: CameraSource) -> int:
    try:
        descriptor = os.open(source.address, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise DeviceError(f"{source.name} cannot be read: {error.strerror}", "check its permissions") from None
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    if not any(event & select.POLLIN for _, event in waiting.poll(WRITER_MS)):
        raise DeviceError(f"nobody writes into {source.name}", "start the program that does, with MJPEG")
    os.set_blocking(descriptor, True)
    return descriptor
