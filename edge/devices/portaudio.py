"""PortAudio: what it lists, and a stream from one of its devices. For short-lived processes only: it may hang or crash,
and what it lists stays as it was when it was loaded."""

from collections.abc import Callable, Iterator
from typing import Any

from edge.devices.sound_hardware import trouble

BLOCK_S = 0.048
"""Each block wakes two processes; shorter ones cost more than they are worth to somebody who speaks."""

RATES = (48000, 44100, 16000)

THROUGH_SERVER = ("pulse", "pipewire", "default")
"""PortAudio's names for the sound server, best first."""

_UNAVAILABLE = -9985
"""PortAudio's number for a device that somebody else holds."""


class CannotRecordError(Exception):
    """Arguments: reason, hint."""


def load() -> Any:
    """The module sounddevice, which loads PortAudio. Raises CannotRecordError."""
    try:
        import sounddevice
    except ImportError:
        raise CannotRecordError("the Python package sounddevice is missing", "pip install sounddevice") from None
    except OSError:
        raise CannotRecordError("the PortAudio library is missing", "sudo apt install libportaudio2") from None
    except Exception as error:  # it starts PortAudio at once, which may say anything
        raise CannotRecordError(f"PortAudio does not start: {error}", "run: edge devices") from None
    return sounddevice


def inputs(portaudio: Any) -> list[dict[str, Any]]:
    """Its devices that can record."""
    return [one for one in portaudio.query_devices() if one["max_input_channels"] > 0]


def listing() -> dict[str, Any]:
    """{"devices": [...]}, with "reason" and "hint" when PortAudio cannot be used."""
    try:
        portaudio = load()
    except CannotRecordError as error:
        return {"devices": [], "reason": error.args[0], "hint": error.args[1]}
    default = portaudio.default.device[0]
    systems = [one["name"] for one in portaudio.query_hostapis()]
    devices = [
        {
            "name": one["name"],
            "system": systems[one["hostapi"]],
            "rate": int(one["default_samplerate"]),
            "channels": one["max_input_channels"],
            "default": one["index"] == default,
        }
        for one in inputs(portaudio)
    ]
    return {"devices": devices}


def choose(portaudio: Any, name: str | None, through_server: bool) -> dict[str, Any]:
    """The device of that exact name, the one that leads to the sound server, or the default."""
    devices = inputs(portaudio)
    if not devices:
        raise CannotRecordError(*(trouble() or ("there is no microphone", "plug one in, then see: edge devices")))
    by_name = {one["name"]: one for one in reversed(devices)}
    if through_server:
        for door in THROUGH_SERVER:
            if door in by_name:
                return by_name[door]
        raise CannotRecordError("PortAudio cannot reach the sound server", "sudo apt install libasound2-plugins")
    if name is None:
        default = portaudio.default.device[0]
        return next((one for one in devices if one["index"] == default), devices[0])
    if name not in by_name:
        raise CannotRecordError(*(trouble() or (f"{name} is not there", "plug it in, then see: edge devices")))
    return by_name[name]


def open_stream(
    portaudio: Any, device: dict[str, Any], label: str, rate: int | None, recorded: Callable[..., None]
) -> Any:
    """An int16 stream of any rate and channel count that the device has, `rate` and mono if it can be."""
    last = ""
    for each_rate, channels in _shapes(device, rate):
        try:
            return portaudio.RawInputStream(
                samplerate=each_rate,
                channels=channels,
                device=device["index"],
                dtype="int16",
                blocksize=int(each_rate * BLOCK_S),
                latency="high",
                callback=recorded,
            )
        except portaudio.PortAudioError as error:
            last = str(error)
            if _UNAVAILABLE in error.args:
                busy = (f"{label} is in use by another program", "close that program, or choose another microphone")
                # the sound server's own devices are held by the sound server
                known = None if device["name"] in THROUGH_SERVER else trouble()
                raise CannotRecordError(*(known or busy)) from None
    raise CannotRecordError(f"{label} cannot be opened: {last}", "choose another microphone; see: edge devices")


def _shapes(device: dict[str, Any], wanted: int | None) -> Iterator[tuple[int, int]]:
    """(rate, channels) to try: what is wanted or the device prefers first, mono first."""
    own, most = int(device["default_samplerate"]), device["max_input_channels"]
    for rate in dict.fromkeys([wanted or own, own, *RATES]):
        for channels in sorted({1, min(2, most), most}):
            yield rate, channels
