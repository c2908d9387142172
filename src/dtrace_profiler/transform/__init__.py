"""Profile → Profile: pure functions."""
