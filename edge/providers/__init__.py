"""Where graphs may run beside onnxruntime's own CPU kernels: plugin execution providers and their devices."""
