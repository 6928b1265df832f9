"""From a configuration to what it names: schema, data, networks, method, optimiser; all checks."""
