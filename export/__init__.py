"""Checkpoint to bundle: reads tensors one at a time, quantises them, writes graphs that point into one weights file.

Knows onnx, gguf and the bundle format; does not know torch, devices or how tokens are sampled.
"""
