"""The rules of the house as pure functions: no clock, no store."""
