"""Folders of other exporters, run as they are."""
