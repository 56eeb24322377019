"""What people and listeners are told: reports, balances, events, alerts."""
