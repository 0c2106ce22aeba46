"""Graphs of fixed shapes for neural processors, over the same weights file as the dynamic ones."""
