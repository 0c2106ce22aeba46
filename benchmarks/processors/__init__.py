"""Neural and other processors beside the CPU: the same answers, how fast, and what they take of real sizes."""
