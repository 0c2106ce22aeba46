"""The one tree of errors a caller may catch.

EdgeError                 exit 1   anything below
├── UsageError            exit 2   the call itself is wrong (flag, range, existing target)
├── BundleError           exit 3   a bundle is damaged, foreign or of another version
├── CheckpointError       exit 3   a checkpoint cannot be exported
├── InputError            exit 4   text, tools, schema or media cannot be used
├── DeviceError           exit 5   microphone, camera or compute device missing
├── ResourceError         exit 6   memory, disk or file handles ran out
└── PullError             exit 7   the hub refused or is unreachable

Every error is one sentence (what happened to what) and a hint (what to type next).
"""


class EdgeError(Exception):
    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(EdgeError):
    exit_code = 2


class BundleError(EdgeError):
    exit_code = 3


class CheckpointError(EdgeError):
    exit_code = 3


class InputError(EdgeError):
    exit_code = 4


class DeviceError(EdgeError):
    exit_code = 5


class ResourceError(EdgeError):
    exit_code = 6


class PullError(EdgeError):
    exit_code = 7
