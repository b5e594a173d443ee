"""Envelope encryption of provider keys: the cryptography alone, no storage and no clock.

Each provider key is sealed under a random data key of its own, which is wrapped under the key-encryption key. Both
boxes are XChaCha20-Poly1305 and bound to owner, provider and key id: a row moved to another place does not open.
When the key-encryption key changes only the data key is wrapped anew; the box around it then also carries the key id
that the provider key stays bound to, wherever the row is copied.
"""

import secrets
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from pydantic import SecretStr

KEY_BYTES: Final = bindings.crypto_aead_xchacha20poly1305_ietf_KEYBYTES
NONCE_BYTES: Final = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
TAG_BYTES: Final = bindings.crypto_aead_xchacha20poly1305_ietf_ABYTES
SALT_BYTES: Final = argon2id.SALTBYTES
ARGON2_MEMORY_BYTES: Final = 19 << 20  # OWASP password storage cheat sheet: Argon2id, 19 MiB, 2 passes
ARGON2_PASSES: Final = 2
FINGERPRINT_BYTES: Final = 8
WRAPPED_BYTES: Final = NONCE_BYTES + KEY_BYTES + TAG_BYTES  # of a data key that was never wrapped anew


class Unreadable(Exception):
    """A sealed key that this key-encryption key does not open at this place: damaged, moved, or another key's."""


@dataclass(frozen=True)
class KeyEncryptionKey:
    """What data keys are wrapped under. `id` is its fingerprint, a keyed hash that tells nothing of it."""

    id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class Sealed:
    """One provider key as it is stored. `key_id` names the key-encryption key that opens it."""

    key_id: str
    wrapped_key: bytes
    ciphertext: bytes


def derive_key(root: SecretStr, salt: bytes) -> KeyEncryptionKey:
    """The key-encryption key of a root secret and a vault's salt. Takes 19 MiB and tens of milliseconds."""
    secret = argon2id.kdf(
        KEY_BYTES, root.get_secret_value().encode(), salt, opslimit=ARGON2_PASSES, memlimit=ARGON2_MEMORY_BYTES
    )
    fingerprint = blake2b(b"animatize/vault/fingerprint", key=secret, digest_size=FINGERPRINT_BYTES)
    return KeyEncryptionKey(fingerprint.hexdigest(), secret)


def seal(key: KeyEncryptionKey, owner: str, provider: str, api_key: SecretStr) -> Sealed:
    """Seal one provider key under a fresh data key."""
    data_key = secrets.token_bytes(KEY_BYTES)
    return Sealed(
        key.id,
        _close(data_key, key.secret, _binding("data key", owner, provider, key.id)),
        _close(api_key.get_secret_value().encode(), data_key, _binding("provider key", owner, provider, key.id)),
    )


def unseal(key: KeyEncryptionKey, owner: str, provider: str, sealed: Sealed) -> SecretStr:
    """The provider key. Raises Unreadable unless `key` sealed it, or wrapped it anew, for this owner and provider."""
    data_key, bound_to = _unwrap(key, owner, provider, sealed)
    return SecretStr(_open(sealed.ciphertext, data_key, _binding("provider key", owner, provider, bound_to)).decode())


def rewrap(key: KeyEncryptionKey, to: KeyEncryptionKey, owner: str, provider: str, sealed: Sealed) -> Sealed:
    """The same ciphertext with its data key wrapped under `to`. The provider key stays sealed. Raises Unreadable."""
    data_key, bound_to = _unwrap(key, owner, provider, sealed)
    if bound_to == to.id:  # back under the key that it was sealed with
        text, label = data_key, "data key"
    else:
        text, label = data_key + bound_to.encode(), "rewrapped data key"
    return Sealed(to.id, _close(text, to.secret, _binding(label, owner, provider, to.id)), sealed.ciphertext)


def _unwrap(key: KeyEncryptionKey, owner: str, provider: str, sealed: Sealed) -> tuple[bytes, str]:
    """The data key, and the id of the key-encryption key that the ciphertext is bound to."""
    if sealed.key_id != key.id:
        raise Unreadable("sealed under another key")
    label = "data key" if len(sealed.wrapped_key) == WRAPPED_BYTES else "rewrapped data key"
    text = _open(sealed.wrapped_key, key.secret, _binding(label, owner, provider, key.id))
    return text[:KEY_BYTES], text[KEY_BYTES:].decode() or key.id


def _close(text: bytes, key: bytes, binding: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)  # 192 random bits do not repeat: what the X in XChaCha20 is for
    return nonce + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(text, binding, nonce, key)


def _open(box: bytes, key: bytes, binding: bytes) -> bytes:
    if len(box) < NONCE_BYTES + TAG_BYTES:
        raise Unreadable("cut short")
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(box[NONCE_BYTES:], binding, box[:NONCE_BYTES], key)
    except CryptoError:
        raise Unreadable("does not open") from None


def _binding(*parts: str) -> bytes:
    """Associated data in which no two lists of parts look alike: each part behind its length."""
    encoded = [part.encode() for part in ("animatize/vault/1", *parts)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
