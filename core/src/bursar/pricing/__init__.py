"""What a call may cost at the worst, and what it did cost."""
