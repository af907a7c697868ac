"""What this machine is and has: processor, memory, packages, caches."""
