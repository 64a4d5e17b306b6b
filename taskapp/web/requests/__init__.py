"""Read requests: target, headers, bodies, preconditions, merge patches."""
