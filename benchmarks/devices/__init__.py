"""What devices cost, and how they take being unplugged."""
