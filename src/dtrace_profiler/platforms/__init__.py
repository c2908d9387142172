"""What differs between operating systems: facts and small functions, one system a file."""
