"""Who somebody is: users, and sessions of guests and users, known by a cookie of which only the SHA-256 is kept."""
