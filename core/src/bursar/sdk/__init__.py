"""How requests leave through an SDK, and are read as they come back."""
