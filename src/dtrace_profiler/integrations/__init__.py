"""Where people already work: test runners, notebooks, web frameworks."""
