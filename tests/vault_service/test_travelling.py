"""Keys under a passphrase: what opens, and every change that must not."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from copy import deepcopy
from hashlib import blake2b
from typing import Any

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl import bindings
from pydantic import SecretStr

from chassis import documents
from chassis.problems import Problem
from vault_service import travelling
from vault_service.travelling import Derivation, derive, open_all, seal_all

PASSPHRASE = SecretStr("correct horse battery stāple")
KEYS = {"veo": SecretStr("veo-key-żółw-0123456789"), "runway": SecretStr("rk-0123456789-7890")}
SEALED = seal_all(KEYS, PASSPHRASE)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
RUBBISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*SEALED, ""]), inner, max_size=6),
)


def cheap(kdf: Derivation, passphrase: SecretStr) -> bytes:
    """A stand-in for Argon2 that hangs on all its parameters as well, for tests that open a hundred thousand times."""
    return blake2b(repr((kdf, passphrase.get_secret_value())).encode(), digest_size=32).digest()


@pytest.fixture
def cheaply_sealed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(travelling, "derive", cheap)
    return seal_all(KEYS, PASSPHRASE)


def plain(keys: dict[str, SecretStr]) -> dict[str, str]:
    return {provider: key.get_secret_value() for provider, key in keys.items()}


def refusal(sealed: Any, passphrase: SecretStr = PASSPHRASE) -> str:
    """The code with which it is refused."""
    with pytest.raises(Problem) as refused:
        open_all(sealed, passphrase)
    assert refused.value.status == 400
    assert "nothing was changed" in refused.value.detail.lower()
    return refused.value.code


def changed(path: str, value: Any) -> dict[str, Any]:
    """The sealed object with another value at `path`: `kdf.passes`."""
    found = deepcopy(SEALED)
    *steps, last = path.split(".")
    place = found
    for step in steps:
        place = place[step]
    place[last] = value
    return found


def packed(text: bytes, *, pad: int | None = 256, **label: Any) -> dict[str, Any]:
    """What a stranger could seal under the passphrase: any bytes at all."""
    label = {**{name: value for name, value in SEALED.items() if name != "ciphertext"}, **label}
    padded = bindings.sodium_pad(text, pad) if pad else text
    secret = derive(Derivation(**label["kdf"]), PASSPHRASE)
    ciphertext = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        padded, documents.canonical(label), b64decode(label["nonce"]), secret
    )
    return {**label, "ciphertext": b64encode(ciphertext).decode()}


@settings(max_examples=20, deadline=None)
@given(keys=st.dictionaries(TEXTS, TEXTS, max_size=6), passphrase=TEXTS)
def test_what_is_sealed_opens_again_also_after_a_way_through_json(keys: dict[str, str], passphrase: str) -> None:
    sealed = seal_all({name: SecretStr(key) for name, key in keys.items()}, SecretStr(passphrase))
    assert plain(open_all(json.loads(json.dumps(sealed)), SecretStr(passphrase))) == keys


def test_no_key_at_all_can_travel_too() -> None:
    assert open_all(seal_all({}, PASSPHRASE), PASSPHRASE) == {}


def test_the_object_is_the_one_that_the_format_promises() -> None:
    assert {**SEALED, "kdf": {**SEALED["kdf"], "salt": "…"}, "nonce": "…", "ciphertext": "…"} == {
        "kdf": {
            "algorithm": "argon2id",
            "version": 19,
            "salt": "…",
            "passes": 2,
            "memory_kib": 19456,
            "parallelism": 1,
        },
        "cipher": "xchacha20-poly1305",
        "nonce": "…",
        "providers": ["runway", "veo"],
        "ciphertext": "…",
    }
    assert (len(b64decode(SEALED["kdf"]["salt"])), len(b64decode(SEALED["nonce"]))) == (16, 24)


def test_another_library_finds_the_same_key_and_opens_the_same_bytes() -> None:
    """A promise to those who read a backup without us: Argon2id 1.3, the canonical form as associated data, padding."""
    kdf = SEALED["kdf"]
    secret = Argon2id(salt=b64decode(kdf["salt"]), length=32, iterations=2, lanes=1, memory_cost=19456).derive(
        "correct horse battery stāple".encode()
    )
    label = json.dumps(
        {name: value for name, value in SEALED.items() if name != "ciphertext"}, sort_keys=True, separators=(",", ":")
    )
    text = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
        b64decode(SEALED["ciphertext"]), label.encode(), b64decode(SEALED["nonce"]), secret
    )
    assert len(text) % 256 == 0
    assert text.rstrip(b"\x00") == '{"runway":"rk-0123456789-7890","veo":"veo-key-żółw-0123456789"}'.encode() + b"\x80"


def test_a_sealed_object_of_this_format_still_opens() -> None:
    """Pinned: a change of the form would leave every backup behind."""
    ciphertext = (
        "x265O7bUexAcuzVtEdj8dNbJAEcxkzh6Uw5pCp0+QGJNlDSZctKSXHxVI21nLzZTjiZbFOJRwcJ8Z3YKyBJjPlCYHosS"
        "DKTf1/QC7mquX1B4mH1s3wXerJ/mpRxaPn/1BWgxzMolSmnFK27ElPGoDDY9DHxYMQ8xgbqScrf6gBHyW/WUDMxLNuu3"
        "PdbSfpcQaaDU2GNXadgRtaOPQdT4WwzskJCsoZ+yByH7+UnWWe3GqFZp1SnEQILoCZ3mHTNcSBl1GW9XQFzEtYLU1b2g"
        "aa6zWuIzXpTUTo7wMvmNbiaDurE3s4bm0PfWvdOxFv6WrzerEEY8ZEM4cAJQn7g0bkzXzycEhI0vFulFrVX1V04="
    )
    kdf = {"algorithm": "argon2id", "version": 19, "salt": "AAECAwQFBgcICQoLDA0ODw==", "passes": 2}
    pinned = {
        "kdf": {**kdf, "memory_kib": 19456, "parallelism": 1},
        "cipher": "xchacha20-poly1305",
        "nonce": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
        "providers": ["veo"],
        "ciphertext": ciphertext,
    }
    assert plain(open_all(pinned, PASSPHRASE)) == {"veo": "pinned-key"}


def test_the_length_tells_little_of_the_keys() -> None:
    lengths = {len(seal_all({"veo": SecretStr("k" * size)}, PASSPHRASE)["ciphertext"]) for size in (8, 9, 50, 100, 200)}
    assert len(lengths) == 1


def test_nothing_repeats_from_one_seal_to_the_next() -> None:
    other = seal_all(KEYS, PASSPHRASE)
    assert other["kdf"]["salt"] != SEALED["kdf"]["salt"]
    assert other["nonce"] != SEALED["nonce"]
    assert other["ciphertext"] != SEALED["ciphertext"]


@pytest.mark.parametrize("wrong", ["", "correct horse battery staple", "correct horse battery stāple ", "x" * 10_000])
def test_another_passphrase_opens_nothing(wrong: str) -> None:
    assert refusal(SEALED, SecretStr(wrong)) == "wrong_passphrase"


def test_a_passphrase_is_the_same_however_its_characters_are_composed() -> None:
    assert plain(open_all(SEALED, SecretStr("correct horse battery sta\u0304ple"))) == plain(KEYS)
    assert plain(open_all(seal_all(KEYS, SecretStr("ẛ̣ a\u0304")), SecretStr("\u1e9b\u0323 ā"))) == plain(KEYS)


def test_every_single_byte_changed_is_refused(cheaply_sealed: dict[str, Any]) -> None:
    text = json.dumps(cheaply_sealed, separators=(",", ":")).encode()
    opened = 0
    for place in range(len(text)):
        for byte in {*range(256)} - {text[place]}:
            try:
                sealed = documents.parse(text[:place] + bytes([byte]) + text[place + 1 :])
            except documents.Malformed:
                continue
            assert refusal(sealed) in ("sealed_keys_damaged", "wrong_passphrase"), (place, byte)
            opened += 1
    assert opened > 10_000
    assert plain(open_all(documents.parse(text), PASSPHRASE)) == plain(KEYS)


def test_every_single_byte_added_or_left_out_is_refused(cheaply_sealed: dict[str, Any]) -> None:
    text = json.dumps(cheaply_sealed, separators=(",", ":")).encode()
    variants = [text[:place] + text[place + 1 :] for place in range(len(text))]
    variants += [text[:place] + byte + text[place:] for place in range(len(text) + 1) for byte in (b"0", b"A", b"=")]
    for variant in variants:
        try:
            sealed = documents.parse(variant)
        except documents.Malformed:
            continue
        refusal(sealed)


def test_every_flipped_bit_and_every_cut_of_the_ciphertext_is_refused(cheaply_sealed: dict[str, Any]) -> None:
    box = b64decode(cheaply_sealed["ciphertext"])
    flipped = [
        box[: bit // 8] + bytes([box[bit // 8] ^ 1 << bit % 8]) + box[bit // 8 + 1 :] for bit in range(len(box) * 8)
    ]
    for damaged in (*flipped, *(box[:length] for length in range(len(box))), box + b"\x00", box[::-1], box * 2):
        refusal({**cheaply_sealed, "ciphertext": b64encode(damaged).decode()})


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_changed_byte_is_refused_by_the_real_derivation_as_well(data: st.DataObject) -> None:
    text = bytearray(json.dumps(SEALED).replace(" ", "").encode())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] = data.draw(st.sampled_from(sorted(set(b'0123456789AZaz+/="[]{}:,') - {text[place]})))
    try:
        sealed = documents.parse(bytes(text))
    except documents.Malformed:
        return
    refusal(sealed)


@pytest.mark.parametrize("field", ["kdf", "cipher", "nonce", "providers", "ciphertext"])
def test_a_field_of_another_seal_under_the_same_passphrase_does_not_fit(field: str) -> None:
    other = seal_all({"flux": SecretStr("another-key-0123456789")}, PASSPHRASE)
    mixed = {**SEALED, field: other[field]}
    if mixed == SEALED:
        assert field == "cipher"
        return
    assert refusal(mixed) == "wrong_passphrase"


@pytest.mark.parametrize("providers", [["veo", "runway"], ["runway"], ["runway", "veo", "veo"], [], ["runway", "flux"]])
def test_the_names_outside_cannot_be_changed(providers: list[str]) -> None:
    assert refusal({**SEALED, "providers": providers}) == "wrong_passphrase"


MISSING = ["kdf", "cipher", "nonce", "providers", "ciphertext"]


@pytest.mark.parametrize("field", MISSING)
def test_every_field_is_required_and_none_may_be_added(field: str) -> None:
    assert refusal({name: value for name, value in SEALED.items() if name != field}) == "sealed_keys_damaged"
    assert refusal({**SEALED, "more": SEALED[field]}) == "sealed_keys_damaged"


@pytest.mark.parametrize("field", [*SEALED["kdf"]])
def test_every_parameter_is_required_and_none_may_be_added(field: str) -> None:
    kdf = SEALED["kdf"]
    assert refusal(changed("kdf", {name: kdf[name] for name in kdf if name != field})) == "sealed_keys_damaged"
    assert refusal(changed("kdf", {**kdf, "secret": 1})) == "sealed_keys_damaged"


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("kdf.algorithm", ["argon2i", "ARGON2ID", "scrypt", "", None, 2]),
        ("kdf.version", [16, 20, 19.0, "19", True, None]),
        ("kdf.passes", [0, -1, 7, 2**53 - 1, 2**64, 2.0, "2", True, None, [2]]),
        ("kdf.memory_kib", [0, -1, 7, 65537, 2**32 + 8, 2**64, 19456.0, "19456", True, None]),
        ("kdf.parallelism", [0, 2, -1, 1.0, True, "1", None]),
        ("kdf", [None, [], "argon2id", 2]),
        ("cipher", ["xchacha20", "aes-256-gcm", "", None]),
        ("providers", [None, "runway", {"runway": 1}, ["runway", 2], [None], {}]),
    ],
)  # fmt: skip
def test_another_parameter_is_refused_before_anything_is_derived(
    path: str, values: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(travelling, "derive", pytest.fail)
    for value in values:
        assert refusal(changed(path, value)) == "sealed_keys_damaged", value


@pytest.mark.parametrize("path", ["kdf.salt", "nonce", "ciphertext"])
def test_base64_has_one_spelling_and_one_length(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(travelling, "derive", pytest.fail)
    zeros = bytes(64)
    respelled: list[Callable[[str], Any]] = [
        lambda text: text.rstrip("=") + "" if text.endswith("=") else text + "=",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text[:4] + "\n" + text[4:],
        lambda _: b64encode(b"\xff" * 24).decode().replace("/", "_"),
        lambda _: "!" * 24,
        lambda _: "ą" * 24,
        lambda _: "",
        lambda _: None,
        lambda _: list(zeros),
        lambda _: b64encode(zeros[:15]).decode(),
    ]
    value = SEALED["kdf"]["salt"] if path == "kdf.salt" else SEALED[path]
    for respell in respelled:
        assert refusal(changed(path, respell(value))) == "sealed_keys_damaged", respell(value)
    for size in (17, 23, 25) if path != "ciphertext" else ():
        assert refusal(changed(path, b64encode(zeros[:size]).decode())) == "sealed_keys_damaged"


def test_bits_that_base64_leaves_unused_have_to_be_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(travelling, "derive", pytest.fail)
    salt = b64encode(bytes(16)).decode()
    assert salt.endswith("A==")
    for last in "BCDEFGHIJKLMNOP":
        respelled = salt[:-3] + last + "=="
        assert b64decode(respelled, validate=True) == bytes(16), "another spelling of the same bytes"
        assert refusal(changed("kdf.salt", respelled)) == "sealed_keys_damaged"


@given(RUBBISH)
def test_rubbish_is_refused(rubbish: Any) -> None:
    assert refusal(rubbish) == "sealed_keys_damaged"


@pytest.mark.parametrize(("passes", "memory_kib"), [(6, 65536), (1, 8)])
def test_the_bounds_themselves_are_taken(passes: int, memory_kib: int) -> None:
    kdf = {**SEALED["kdf"], "passes": passes, "memory_kib": memory_kib}
    sealed = packed(b'{"runway":"rk-0123456789-7890"}', kdf=kdf, providers=["runway"])
    assert plain(open_all(sealed, PASSPHRASE)) == {"runway": "rk-0123456789-7890"}


@pytest.mark.parametrize(
    "text",
    [
        b"", b"null", b"[]", b'"runway"', b'{"runway":7}', b'{"runway":null}', b'{"runway":{}}', b'{"veo":"k"}', b"{}",
        b'{"runway":"k","runway":"l"}', b'{"runway":"k","veo":"l"}', b'{"runway":"\\ud800"}', b'{"runway":"\xff"}',
        b'{"runway":"k"', b"[" * 5000,
    ],
)  # fmt: skip
def test_what_a_stranger_seals_is_not_taken_for_keys(text: bytes) -> None:
    assert refusal(packed(text, providers=["runway"])) == "sealed_keys_damaged"


def test_names_that_are_not_in_order_are_refused_even_where_the_seal_is_whole() -> None:
    text = b'{"runway":"k","veo":"l"}'
    assert plain(open_all(packed(text, providers=["runway", "veo"]), PASSPHRASE)) == {"runway": "k", "veo": "l"}
    assert refusal(packed(text, providers=["veo", "runway"])) == "sealed_keys_damaged"
    assert refusal(packed(text, providers=["runway", "runway", "veo"])) == "sealed_keys_damaged"


def test_what_was_not_padded_is_refused() -> None:
    assert refusal(packed(b'{"runway":"k"}', pad=None, providers=["runway"])) == "sealed_keys_damaged"


@pytest.mark.parametrize(
    "sealed", [SEALED, changed("kdf.passes", 3), changed("kdf.passes", 7), packed(b'["rk-01234"]')]
)
def test_no_error_repeats_a_key_or_the_passphrase(sealed: Any) -> None:
    with pytest.raises(Problem) as refused:
        open_all(sealed, SecretStr("the-wrong-passphrase"))
    chain = [refused.value, refused.value.__cause__]
    shown = " ".join(f"{each!r} {each} {getattr(each, 'extra', '')} {getattr(each, 'errors', '')}" for each in chain)
    assert refused.value.__suppress_context__
    assert not [word for word in ("the-wrong", "rk-01234", SEALED["ciphertext"][:20]) if word in shown]


def test_what_is_opened_shows_no_key_in_its_repr() -> None:
    assert "0123456789" not in repr(open_all(SEALED, PASSPHRASE))
