"""The imperative shell: step loop, journal, snapshot, ledger file, clients."""
