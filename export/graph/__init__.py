"""ONNX graphs written node by node; their weights are byte ranges of weights.bin."""
