"""Numbers: turning float matrices into packed integer blocks. Knows numpy, not models."""
