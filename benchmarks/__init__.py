"""How fast it is, measured side by side with what people would otherwise pick; see docs/performance.md."""
