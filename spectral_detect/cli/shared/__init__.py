"""What several commands share: options, checks, inputs, progress, where results go."""
