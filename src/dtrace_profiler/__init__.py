"""CPU profiler on DTrace."""
