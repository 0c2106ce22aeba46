"""The process that records: `python -m edge.devices.microphone_process`; the only one that loads PortAudio.

READY tells device, rate, channels and latency. Each DATA holds uint32 frames dropped so far because nobody read,
uint32 how often the device itself was not emptied in time, then int16 interleaved frames.
"""

import argparse
import contextlib
import json
import os
import struct
from typing import Any

from edge.devices.messages import DATA, FAILED, READY, leave_with_parent, send, send_json
from edge.devices.portaudio import BLOCK_S, CannotRecordError, choose, listing, load, open_stream
from edge.devices.ring import Ring

HEAD = struct.Struct("<II")

RING_S = 2.0
"""So long may the reader be late before something is lost."""

_ENDED_S = 0.5
_UINT32 = 0xFFFFFFFF


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true", help="input devices as JSON")
    parser.add_argument("--server", action="store_true", help="through the sound server, source from the environment")
    parser.add_argument("--device", help="exact PortAudio name; none: the default")
    parser.add_argument("--label", help="what people call it")
    parser.add_argument("--rate", type=int, help="Hz to try first")
    options = parser.parse_args()
    output = _quiet_stdout()
    with contextlib.suppress(BrokenPipeError):
        if options.list:
            os.write(output, json.dumps(listing()).encode())
            return
        leave_with_parent()
        try:
            _record(output, options)
        except CannotRecordError as error:
            send_json(output, FAILED, {"reason": error.args[0], "hint": error.args[1]})


def _quiet_stdout() -> int:
    """The descriptor for messages. ALSA and JACK print to the standard streams, which now lead nowhere."""
    output, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return output


def _record(output: int, options: argparse.Namespace) -> None:
    """Until the stream ends, which is a CannotRecordError."""
    portaudio = load()
    device = choose(portaudio, options.device, options.server)
    label = options.label or device["name"]
    ring, overflows = Ring(int(RING_S / BLOCK_S)), 0

    def recorded(data: Any, frames: int, time: Any, status: Any) -> None:
        nonlocal overflows
        overflows += status.input_overflow
        ring.put(bytes(data))

    with open_stream(portaudio, device, label, options.rate, recorded) as stream:
        fields = {"device": label, "rate": int(stream.samplerate), "channels": stream.channels}
        send_json(output, READY, {**fields, "latency_s": stream.latency})
        while True:
            taken = ring.take(_ENDED_S)
            if taken:
                block, dropped = taken
                frames = dropped // (2 * stream.channels)
                send(output, DATA, HEAD.pack(frames & _UINT32, overflows & _UINT32), block)
            elif not stream.active:
                raise CannotRecordError(f"{label} stopped recording", "is it still plugged in?  edge devices")


if __name__ == "__main__":
    main()
