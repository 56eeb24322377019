"""`serve`: the page of an account, live, on this machine."""
