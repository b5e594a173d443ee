"""A request is known again by what it asks and by its body, under any root secret that is still believed."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict
from pydantic import SecretStr

from chassis.once import KEYS_HEADER
from chassis.problems import Problem
from gateway.idempotency import FINGERPRINT_KEYS, Fingerprint, fingerprint_keys, once_headers, requested_name

OLD, NEW = SecretStr("an older secret of forty characters or so"), SecretStr("a newer secret of forty characters or so")


def fingerprint(*context: str, body: tuple[bytes, ...] = (b"body",), keys: list[bytes] | None = None) -> Fingerprint:
    made = Fingerprint(keys or fingerprint_keys(NEW, [OLD]), *context)
    for piece in body:
        made.update(piece)
    return made


def test_the_same_request_is_known_again_in_whatever_pieces_it_comes() -> None:
    kept = fingerprint("merge", "", body=(b"some", b" body")).made()
    assert fingerprint("merge", "", body=(b"some body",)).is_that_of(kept)


@pytest.mark.parametrize(
    "other",
    [
        fingerprint("replace", ""),
        fingerprint("merge", "secret"),
        fingerprint("merge", "", body=(b"bodY",)),
        fingerprint("merge"),
        fingerprint("mer", "ge"),
        fingerprint("merge", "", body=()),
    ],
)
def test_another_request_is_not_taken_for_it(other: Fingerprint) -> None:
    assert not other.is_that_of(fingerprint("merge", "").made())
    assert not other.is_that_of(None)


def test_a_request_is_known_again_after_the_root_secret_was_changed() -> None:
    kept = fingerprint(keys=fingerprint_keys(OLD, [])).made()
    assert fingerprint().is_that_of(kept)
    assert not fingerprint(keys=fingerprint_keys(NEW, [])).is_that_of(kept)


def test_a_service_is_sent_the_keys_of_every_root_secret_the_current_one_first() -> None:
    def sent(*secrets: SecretStr) -> list[str]:
        app = web.Application()
        app[FINGERPRINT_KEYS] = fingerprint_keys(secrets[0], list(secrets[1:]))
        request = make_mocked_request("PUT", "/api/settings?a=1", {"Idempotency-Key": "mine"}, app=app)
        return once_headers(request)[KEYS_HEADER].split(",")

    assert sent(NEW, OLD) == sent(NEW) + sent(OLD)
    assert sent(NEW) != sent(OLD)


def test_a_request_has_one_name() -> None:
    headers = CIMultiDict(("Idempotency-Key", each) for each in ("one", "two"))
    with pytest.raises(Problem) as problem:
        requested_name(make_mocked_request("POST", "/", headers))
    assert (problem.value.status, problem.value.code) == (400, "bad_idempotency_key")


@pytest.mark.parametrize(("given", "name"), [("abc", "abc"), ('"8e03978e-40d5"', "8e03978e-40d5"), (" a ", "a")])
def test_an_id_may_stand_in_quotation_marks(given: str, name: str) -> None:
    assert requested_name(make_mocked_request("POST", "/", {"Idempotency-Key": given})) == name


def test_without_the_header_there_is_no_id() -> None:
    assert requested_name(make_mocked_request("POST", "/")) is None


@pytest.mark.parametrize("given", ["", '""', "a/b", "..", "a b", "ż", "x" * 129, "a?b"])
def test_an_id_that_would_not_stand_in_a_path_is_refused(given: str) -> None:
    with pytest.raises(Problem) as problem:
        requested_name(make_mocked_request("POST", "/", {"Idempotency-Key": given}))
    assert problem.value.status == 400
