"""What the process, its clock and the interpreter provide."""
