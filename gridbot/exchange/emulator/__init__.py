"""The emulator: the simulated exchange with Kraken's REST API as its face."""
