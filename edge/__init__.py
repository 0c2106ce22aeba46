"""phi-edge: the runtime on the device."""

__version__ = "0.1.0"
