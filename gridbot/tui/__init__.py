"""The terminal app. It holds an EngineClient and draws frozen statuses, nothing else."""
