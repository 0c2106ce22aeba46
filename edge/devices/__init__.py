"""Microphones and cameras: each is driven by a process of its own, which may hang or die without harm."""
