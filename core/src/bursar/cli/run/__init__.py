"""`bursar run`: a budget over a program and its children, without a change to them."""
