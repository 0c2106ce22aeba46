"""What a quantiser must know of a model: a decoder in numpy, cut open at its matrices, and what flows through it."""
