"""Why a camera's device file cannot be used. OpenCV only says that it cannot."""

import errno
import os
import struct
import sys

from edge.errors import DeviceError

# include/uapi/linux/videodev2.h: these numbers are the same on every 64-bit Linux
_QUERY_CAPABILITIES, _REQUEST_BUFFERS = 0x80685600, 0xC0145608
_CAPABILITIES = struct.Struct("<16s32s32sIII12x")
_HAS_DEVICE_CAPABILITIES, _CAPTURES = 0x80000000, 0x1 | 0x1000  # one plane, several planes
_BUFFERS = struct.Struct("<IIIII")
_CAPTURE, _MEMORY_MAPPED = 1, 1

OTHER = "close the program that uses it, or choose another camera; see: edge devices"


def check_video_device(path: str, name: str) -> None:
    """Raises DeviceError when it is missing, forbidden, busy or no camera."""
    if sys.platform != "linux":
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _explained(error, path, name) from None
    try:
        _check_open_device(descriptor, path, name)
    finally:
        os.close(descriptor)


def _check_open_device(descriptor: int, path: str, name: str) -> None:
    import fcntl  # not on every system

    answer = bytearray(_CAPABILITIES.size)
    try:
        fcntl.ioctl(descriptor, _QUERY_CAPABILITIES, answer)
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL):
            raise DeviceError(f"{name} is not a camera", "see what there is:  edge devices") from None
        raise _explained(error, path, name) from None
    *_, of_all_nodes, of_this_node = _CAPABILITIES.unpack(answer)
    if not (of_this_node if of_all_nodes & _HAS_DEVICE_CAPABILITIES else of_all_nodes) & _CAPTURES:
        raise DeviceError(f"{name} records no pictures: it is a camera's second device", "see:  edge devices")
    try:  # no buffers: changes nothing, but is refused while another program records
        fcntl.ioctl(descriptor, _REQUEST_BUFFERS, bytearray(_BUFFERS.pack(0, _CAPTURE, _MEMORY_MAPPED, 0, 0)))
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise _explained(error, path, name) from None


def _explained(error: OSError, path: str, name: str) -> DeviceError:
    if error.errno == errno.EBUSY:
        return DeviceError(f"{name} is in use by another program", OTHER)
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = f"sudo usermod -aG video $USER, then log in again; or look at:  ls -l {path}"
        return DeviceError(f"{name} may not be opened by this user", hint)
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return DeviceError(f"{name} is not there any more", "plug it in again")
    return DeviceError(f"{name} cannot be opened: {error.strerror}", "unplug it and plug it in again")
