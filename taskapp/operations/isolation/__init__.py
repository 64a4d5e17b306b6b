"""`flask isolation`: tickets, DBA logins, the audit trail, explain and the doctor, for people at a terminal."""
