"""The questions of `query` as tools of the Model Context Protocol. Reads what its command line names, and no more."""
