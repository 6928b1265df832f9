"""From a configuration to its objects: schema, data, networks, method, optimiser; all checks."""
