"""The flame graph while the program runs: what is new of a profile, ten times a second, to browsers."""
