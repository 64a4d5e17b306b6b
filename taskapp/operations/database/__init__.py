"""`flask database`: provision a database, replace its keys, show its status."""
