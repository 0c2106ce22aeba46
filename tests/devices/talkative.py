"""A device's process for tests: says what its arguments tell it to, one by one.

ready · data:TEXT · fail:REASON · silent · garbage · wait (until the file named by the next argument is gone)
"""

import os
import sys
import time
from pathlib import Path

from edge.devices.messages import DATA, FAILED, READY, leave_with_parent, send, send_json

leave_with_parent()
arguments = iter(sys.argv[1:])
for argument in arguments:
    what, _, text = argument.partition(":")
    if what == "ready":
        send_json(1, READY, {"device": text or "talker"})
    elif what == "data":
        send(1, DATA, text.encode())
    elif what == "fail":
        send_json(1, FAILED, {"reason": text, "hint": "try another"})
    elif what == "garbage":
        os.write(1, b"Warning: not a message\n")
    elif what == "silent":
        time.sleep(3600)
    elif what == "wait":
        path = Path(next(arguments))
        while path.exists():
            send(1, DATA, b".")
            time.sleep(0.02)
