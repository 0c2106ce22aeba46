"""From nothing to the trained checkpoint, stage by stage."""
