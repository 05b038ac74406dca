"""The outside market behind one Protocol: simulated now, Kraken later."""
