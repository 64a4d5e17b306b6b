"""Rules of the doctor: each asks the catalogue one question."""
