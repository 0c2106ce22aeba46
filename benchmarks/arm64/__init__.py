"""The wheel on ARM64, emulated: the same answers as here, and the tests that need neither devices nor exports."""
