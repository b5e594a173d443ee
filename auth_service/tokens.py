"""What a session's cookie holds, and the one form of it that is kept."""

import hashlib
import secrets

TOKEN_BYTES = 32  # 256 random bits: beyond guessing, so a plain SHA-256 of it needs neither salt nor stretching


def new_token() -> str:
    """A cookie's value. It leaves this service once, in the answer that made the session."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def fingerprint(token: str) -> bytes:
    """By which the store knows a token without being able to tell it."""
    return hashlib.sha256(token.encode()).digest()


def new_guest() -> str:
    """The owner of what a visitor makes before signing in."""
    return f"guest:{secrets.token_hex(16)}"


def new_session_id() -> str:
    """A public name for a session: says nothing about its token."""
    return secrets.token_hex(16)


def new_user_id() -> str:
    """A user's name inside `user:<id>`: says nothing about the account at Google."""
    return secrets.token_hex(16)
