"""A private conditional model of the sensitive columns, and tables drawn from it."""
