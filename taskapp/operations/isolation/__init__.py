"""For people at a terminal: who may look at whose rows, and the proof that nobody else can."""
