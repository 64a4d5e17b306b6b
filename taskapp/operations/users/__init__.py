"""`flask users`: manage accounts, as the role taskapp_operator."""
