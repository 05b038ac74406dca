"""Kraken spot behind the Exchange Protocol: its REST API, its names, its limits, its errors."""
