"""Provider keys sealed under a passphrase, to travel in a backup: the form and the cryptography, no storage.

Argon2id (RFC 9106) makes a key of the passphrase, XChaCha20-Poly1305 seals the keys under it. All that stands beside
the ciphertext is its associated data, in canonical form (RFC 8785): not a byte of it can be changed unnoticed.
"""

import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal
from unicodedata import normalize

from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from chassis import documents
from chassis.documents import Malformed
from chassis.problems import Problem
from vault_service.sealing import ARGON2_MEMORY_BYTES, ARGON2_PASSES, KEY_BYTES, NONCE_BYTES, SALT_BYTES, TAG_BYTES

ARGON2_VERSION: Final = 19  # 1.3, the one of RFC 9106
MOST_PASSES: Final = 6
MOST_PROVIDERS: Final = 100
LONGEST_CIPHERTEXT: Final = 1 << 20  # characters of base64: room for so many of the longest keys
MOST_MEMORY_KIB: Final = 64 << 10
PADDED_TO: Final = 256  # bytes; the length of the ciphertext tells little of the lengths of the keys


def _base64(fits: Callable[[int], bool]) -> AfterValidator:
    """Base64 (RFC 4648, section 4) in its one canonical spelling, of as many bytes as `fits`."""

    def check(text: str) -> str:
        decoded = b64decode(text, validate=True)
        if b64encode(decoded).decode() != text or not fits(len(decoded)):
            raise ValueError("is not spelled canonically, or of another length")
        return text

    return AfterValidator(check)


class Derivation(BaseModel):
    """How the key is made of the passphrase. The bounds are checked before anything is derived.

    The numbers that have to be have bounds instead of being Literal: True and 1.0 would pass for a literal 1.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    algorithm: Literal["argon2id"]
    version: Annotated[int, Field(ge=ARGON2_VERSION, le=ARGON2_VERSION)]
    salt: Annotated[str, _base64(lambda size: size == SALT_BYTES)]
    passes: Annotated[int, Field(ge=argon2id.OPSLIMIT_MIN, le=MOST_PASSES)]
    memory_kib: Annotated[int, Field(ge=argon2id.MEMLIMIT_MIN >> 10, le=MOST_MEMORY_KIB)]
    parallelism: Annotated[int, Field(ge=1, le=1)]  # libsodium knows no other


class Label(BaseModel):
    """All of the sealed object but the ciphertext: its associated data."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    kdf: Derivation
    cipher: Literal["xchacha20-poly1305"]
    nonce: Annotated[str, _base64(lambda size: size == NONCE_BYTES)]
    providers: Annotated[list[str], Field(max_length=MOST_PROVIDERS)]


class SealedKeys(Label):
    """The sealed object as it stands in a backup."""

    ciphertext: Annotated[str, Field(max_length=LONGEST_CIPHERTEXT), _base64(lambda size: size >= TAG_BYTES)]


def seal_all(keys: Mapping[str, SecretStr], passphrase: SecretStr) -> dict[str, Any]:
    """The sealed object of `keys` by provider. Takes 19 MiB and tens of milliseconds."""
    label = Label(
        kdf=Derivation(
            algorithm="argon2id",
            version=ARGON2_VERSION,
            salt=_random(SALT_BYTES),
            passes=ARGON2_PASSES,
            memory_kib=ARGON2_MEMORY_BYTES >> 10,
            parallelism=1,
        ),
        cipher="xchacha20-poly1305",
        nonce=_random(NONCE_BYTES),
        providers=sorted(keys),
    )
    text = documents.write({provider: keys[provider].get_secret_value() for provider in label.providers})
    ciphertext = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        bindings.sodium_pad(text, PADDED_TO), _binding(label), b64decode(label.nonce), derive(label.kdf, passphrase)
    )
    return {**label.model_dump(), "ciphertext": b64encode(ciphertext).decode()}


def open_all(sealed: Any, passphrase: SecretStr) -> dict[str, SecretStr]:
    """The keys by provider, in order. Takes up to 64 MiB.

    Raises Problem 400: `sealed_keys_damaged` for what nobody seals, `wrong_passphrase` for what does not open.
    """
    box = _read(sealed)
    try:
        padded = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            b64decode(box.ciphertext), _binding(box), b64decode(box.nonce), derive(box.kdf, passphrase)
        )
    except CryptoError:
        raise _wrong_passphrase() from None
    return _unpacked(padded, box.providers)


def derive(kdf: Derivation, passphrase: SecretStr) -> bytes:
    """The key of a passphrase, however it was typed: NFC first, for keyboards differ in how they compose characters."""
    text = normalize("NFC", passphrase.get_secret_value()).encode()
    return argon2id.kdf(KEY_BYTES, text, b64decode(kdf.salt), opslimit=kdf.passes, memlimit=kdf.memory_kib << 10)


def _read(sealed: Any) -> SealedKeys:
    try:
        return SealedKeys.model_validate(sealed)
    except ValidationError:
        raise _damaged() from None


def _unpacked(padded: bytes, providers: list[str]) -> dict[str, SecretStr]:
    """What was sealed is authentic, but that does not make it ours: a stranger can seal anything under a passphrase."""
    try:
        keys = documents.parse(bindings.sodium_unpad(padded, PADDED_TO))
    except (CryptoError, Malformed):
        raise _damaged() from None
    if not isinstance(keys, dict) or not all(isinstance(key, str) for key in keys.values()):
        raise _damaged()
    if sorted(keys) != providers:
        raise _damaged()
    return {provider: SecretStr(keys[provider]) for provider in providers}


def _binding(label: Label) -> bytes:
    return documents.canonical(label.model_dump(exclude={"ciphertext"}))


def _random(size: int) -> str:
    return b64encode(secrets.token_bytes(size)).decode()


def _damaged() -> Problem:
    limits = f"at most {MOST_MEMORY_KIB >> 10} MiB and {MOST_PASSES} passes"
    detail = f"The sealed keys of this backup are damaged, or not sealed in a way that is taken ({limits})."
    return Problem(400, "sealed_keys_damaged", f"{detail} Nothing was changed.")


def _wrong_passphrase() -> Problem:
    detail = "The passphrase is wrong, or the sealed keys were changed; nothing was changed."
    return Problem(400, "wrong_passphrase", detail)
