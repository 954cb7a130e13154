"""How fast a model is on this machine: what is measured, in which order, and what follows."""
