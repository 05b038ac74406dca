"""The living factory: machines, belts and lamps drawn from statuses and events."""
