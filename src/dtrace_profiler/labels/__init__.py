"""Labels: what a program says of its work, so that the samples of it can be told apart."""
