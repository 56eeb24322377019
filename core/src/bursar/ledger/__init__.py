"""How a paid call moves through the store: reserved, then settled, released or in doubt."""
