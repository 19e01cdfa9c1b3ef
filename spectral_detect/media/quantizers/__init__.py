"""How coarsely each lossy coding of a still was quantised, read from its own bytes."""
