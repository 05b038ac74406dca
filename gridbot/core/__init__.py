"""The trading brain. Pure: no I/O, no clock, no randomness, no asyncio, no logging."""
