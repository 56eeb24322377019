"""Bookings that the store has not acknowledged: kept, and delivered later."""
