"""What an administrator does with a whole database: make it ours, replace its keys, see how it is."""
