"""The catalogue that the migrations make, and how a live database differs from it."""
