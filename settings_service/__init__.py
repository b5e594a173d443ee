"""Settings profiles of guests and users, their version history, and the presets."""
