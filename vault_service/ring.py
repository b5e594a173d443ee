"""The key-encryption keys of one process: what is new is sealed under the current one, and each row names its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from vault_service.sealing import KeyEncryptionKey, Sealed, Unreadable, derive_key, rewrap, seal, unseal


@dataclass(frozen=True)
class KeyRing:
    """The key of the current root secret and those of the previous ones."""

    current: KeyEncryptionKey
    previous: tuple[KeyEncryptionKey, ...] = ()

    def __contains__(self, key_id: str) -> bool:
        return any(key.id == key_id for key in (self.current, *self.previous))

    def seal(self, owner: str, provider: str, api_key: SecretStr) -> Sealed:
        return seal(self.current, owner, provider, api_key)

    def unseal(self, owner: str, provider: str, sealed: Sealed) -> SecretStr:
        """The provider key. Raises Unreadable."""
        return unseal(self._key_of(sealed), owner, provider, sealed)

    def rewrap(self, owner: str, provider: str, sealed: Sealed) -> Sealed:
        """The same ciphertext, its data key wrapped under the current key. Raises Unreadable."""
        return rewrap(self._key_of(sealed), self.current, owner, provider, sealed)

    def _key_of(self, sealed: Sealed) -> KeyEncryptionKey:
        for key in (self.current, *self.previous):
            if key.id == sealed.key_id:
                return key
        raise Unreadable("sealed under a key that this process does not have")


def derive_ring(root: SecretStr, previous: Sequence[SecretStr], salt: bytes) -> KeyRing:
    """The ring of root secrets. Takes 19 MiB, and tens of milliseconds for each that differs."""
    current, *older = (derive_key(secret, salt) for secret in dict.fromkeys((root, *previous)))
    return KeyRing(current, tuple(older))
