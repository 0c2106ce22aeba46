"""The live loop with a real sound server."""
