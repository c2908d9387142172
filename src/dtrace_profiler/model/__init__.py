"""What a profile is: frames, stacks, samples, and what was asked for. Knows nothing of how they came to be."""
