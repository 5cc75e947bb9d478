"""Every backend keeps the promises of `tracecraft.store.base`, also under faults, races and attacks."""
