"""From a request to records: the D program, the dtrace child that runs it, and the parser of what it prints."""
