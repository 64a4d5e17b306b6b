"""What operators see of each request: a line of the log, counts for Prometheus, a span. Never what anybody wrote."""
