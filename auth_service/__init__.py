"""Who somebody is: users, and sessions of users and guests, known by a cookie of which only the SHA-256 is kept."""
