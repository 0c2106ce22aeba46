"""Architectures without a graph of ours: another exporter traces them, our formats store them."""
