"""How much of a model survives its quantisation: perplexity, KL divergence, agreement, greedy text."""
