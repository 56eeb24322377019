"""Webhooks: an alert is posted as signed JSON, by a thread of its own, and never makes an agent wait."""
