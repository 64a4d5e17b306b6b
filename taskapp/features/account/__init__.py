"""What a user does with the account as a whole: change its address or password, take everything along, leave."""
