"""What users have: accounts, tasks, lists, tags. Each feature has models, schemas, queries and routes."""
