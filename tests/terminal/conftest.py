"""What the tests of the terminal's training data share."""

import shutil

import pytest


@pytest.fixture(scope="session")
def speech_programs() -> None:
    missing = [name for name in ("espeak-ng", "flite") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"speaks with {' and '.join(missing)}, not installed here (apt install {' '.join(missing)})")
