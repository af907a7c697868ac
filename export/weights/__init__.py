"""What people wrap around weights, and how the weights are taken out of it without running it."""
