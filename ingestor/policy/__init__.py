"""Rules without I/O, clock or chance of their own: what is given decides what comes out."""
