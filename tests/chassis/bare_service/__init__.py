"""A service that keeps nothing but what the chassis keeps for every service."""
