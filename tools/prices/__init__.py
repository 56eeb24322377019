"""How the price table that ships with bursar is made from two public data sets."""
