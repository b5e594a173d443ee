"""The pure cryptography: what opens, and everything that must not."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.vault_service.conftest import FOREIGN_ROOT, ROOT
from vault_service import sealing
from vault_service.sealing import KeyEncryptionKey, Sealed, Unreadable, derive_key, rewrap, seal, unseal

KEY = KeyEncryptionKey("00112233aabbccdd", bytes(range(32)))
SECRET = SecretStr("sk-live-0123456789abcdef")
NEW_KEY = KeyEncryptionKey("ddccbbaa33221100", bytes(range(32, 64)))
SEALED = seal(KEY, "user:ada", "runway", SECRET)


def altered(part: str, box: bytes) -> Sealed:
    return replace(SEALED, wrapped_key=box) if part == "wrapped_key" else replace(SEALED, ciphertext=box)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_opens_again_for_its_owner(owner: str, api_key: str) -> None:
    assert unseal(KEY, owner, "veo", seal(KEY, owner, "veo", SecretStr(api_key))).get_secret_value() == api_key


def test_the_same_key_never_looks_the_same_twice() -> None:
    one, other = seal(KEY, "user:ada", "runway", SECRET), seal(KEY, "user:ada", "runway", SECRET)
    assert one.wrapped_key != other.wrapped_key
    assert one.ciphertext != other.ciphertext


@pytest.mark.parametrize("part", ["wrapped_key", "ciphertext"])
@given(data=st.data())
def test_any_flipped_bit_is_noticed(part: str, data: st.DataObject) -> None:
    box = bytearray(getattr(SEALED, part))
    box[data.draw(st.integers(0, len(box) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Unreadable):
        unseal(KEY, "user:ada", "runway", altered(part, bytes(box)))


@pytest.mark.parametrize("part", ["wrapped_key", "ciphertext"])
def test_any_cut_is_noticed(part: str) -> None:
    box: bytes = getattr(SEALED, part)
    for length in range(len(box)):
        with pytest.raises(Unreadable):
            unseal(KEY, "user:ada", "runway", altered(part, box[:length]))


@pytest.mark.parametrize(
    ("owner", "provider"),
    [
        ("user:eve", "runway"),
        ("user:ada", "veo"),
        ("user:adar", "unway"),
        ("", "user:adarunway"),
        ("runway", "user:ada"),
    ],
)
def test_a_row_opens_only_where_it_was_sealed(owner: str, provider: str) -> None:
    with pytest.raises(Unreadable):
        unseal(KEY, owner, provider, SEALED)


def test_halves_of_two_rows_of_one_owner_do_not_open_together() -> None:
    other = seal(KEY, "user:ada", "runway", SECRET)
    with pytest.raises(Unreadable):
        unseal(KEY, "user:ada", "runway", replace(SEALED, ciphertext=other.ciphertext))


def test_another_key_opens_nothing_even_under_the_same_id() -> None:
    stranger = KeyEncryptionKey(KEY.id, bytes(32))
    with pytest.raises(Unreadable):
        unseal(stranger, "user:ada", "runway", SEALED)


def test_a_row_that_claims_another_key_id_does_not_open() -> None:
    renamed = KeyEncryptionKey("ffffffffffffffff", KEY.secret)
    with pytest.raises(Unreadable):
        unseal(renamed, "user:ada", "runway", SEALED)
    with pytest.raises(Unreadable):
        unseal(renamed, "user:ada", "runway", replace(SEALED, key_id=renamed.id))


def test_the_key_hangs_on_secret_and_salt_and_is_always_the_same(key: KeyEncryptionKey) -> None:
    salt = b"s" * sealing.SALT_BYTES
    assert derive_key(SecretStr(ROOT), salt) == key
    assert derive_key(SecretStr(FOREIGN_ROOT), salt).id != key.id
    assert derive_key(SecretStr(ROOT), b"t" * sealing.SALT_BYTES).id != key.id


def test_the_key_is_argon2id_with_19_mib_and_2_passes_as_another_library_works_it_out() -> None:
    other = Argon2id(salt=bytes(16), length=32, iterations=2, lanes=1, memory_cost=19 * 1024)
    assert derive_key(SecretStr("a secret"), bytes(16)).secret == other.derive(b"a secret")


def test_a_sealed_row_of_this_format_still_opens() -> None:
    """Pinned bytes: a change of the associated data or of the layout would lose every stored key."""
    wrapped_key = (
        "8742d1df702772b70ae5cf69908674fc6b45c03cf74c9cdc8aa3c6a3a9c26e4725ddb8da0599c24f7748f3af18f74a5f"
        "07cb56ff2b65c7075637b0779d311766e83ac2532e50a4ca"
    )
    ciphertext = (
        "f3f2d156303da361fdd3a9e917545631c4df2f718a730e096657cf36cbfa2290a29a44a4b3e1c7d264b1204ad0e05114"
        "bc50daa67543ca9483cb1a507d3d2e84"
    )
    sealed = Sealed(KEY.id, bytes.fromhex(wrapped_key), bytes.fromhex(ciphertext))
    assert unseal(KEY, "user:ada", "runway", sealed).get_secret_value() == SECRET.get_secret_value()


def test_no_repr_shows_a_key() -> None:
    assert repr(KEY.secret) not in repr(KEY)
    assert repr(KEY) == "KeyEncryptionKey(id='00112233aabbccdd')"


def test_wrapping_anew_changes_the_secret_and_not_the_ciphertext() -> None:
    wrapped = rewrap(KEY, NEW_KEY, "user:ada", "runway", SEALED)
    assert (wrapped.key_id, wrapped.ciphertext) == (NEW_KEY.id, SEALED.ciphertext)
    assert unseal(NEW_KEY, "user:ada", "runway", wrapped) == SECRET
    for key, owner, provider in (
        (KEY, "user:ada", "runway"),
        (NEW_KEY, "user:eve", "runway"),
        (NEW_KEY, "user:ada", "veo"),
    ):
        with pytest.raises(Unreadable):
            unseal(key, owner, provider, replace(wrapped, key_id=key.id))


def test_what_does_not_open_is_not_wrapped_anew() -> None:
    for key, owner, sealed in (
        (NEW_KEY, "user:ada", SEALED),
        (KEY, "user:eve", SEALED),
        (KEY, "user:ada", altered("wrapped_key", SEALED.wrapped_key[:-1] + b"x")),
        (KEY, "user:ada", altered("wrapped_key", b"")),
    ):
        with pytest.raises(Unreadable):
            rewrap(key, KEY, owner, "runway", sealed)


def test_the_id_that_a_row_stays_bound_to_cannot_be_changed_or_left_out() -> None:
    """It stands inside the box: the box of another row, or one of the plain kind, does not open in its place."""
    wrapped = rewrap(KEY, NEW_KEY, "user:ada", "runway", SEALED)
    for text, label in ((bytes(32), "data key"), (bytes(48), "data key"), (bytes(32), "rewrapped data key")):
        binding = sealing._binding(label, "user:ada", "runway", KEY.id)
        forged = sealing._close(text, NEW_KEY.secret, binding)
        with pytest.raises(Unreadable):
            unseal(NEW_KEY, "user:ada", "runway", replace(wrapped, wrapped_key=forged))


def test_a_row_wrapped_anew_in_this_format_still_opens() -> None:
    """Pinned bytes, as above."""
    wrapped_key = (
        "1f24b79b9103705504a436a7764cff0ce46d31405a16d50f055e12da4e3176380c5d90ee16675ab39e7e6b2b1d05f594"
        "07b7c659ad8e2f5a6b28c0d8a99540c0ae6fd2f167b96017a742f6fb8a21dc08c04dbbd4ff9e513f"
    )
    ciphertext = (
        "48703c29c66726de7cbb4b30428d3ed2b6e5bb1064fe1f32d69a49037758344870773295bc92cfe7e4aafc16789122c3"
        "f10298d1ed20b7038d0d2a1f7a87bb9f"
    )
    sealed = Sealed(NEW_KEY.id, bytes.fromhex(wrapped_key), bytes.fromhex(ciphertext))
    assert unseal(NEW_KEY, "user:ada", "runway", sealed).get_secret_value() == SECRET.get_secret_value()
