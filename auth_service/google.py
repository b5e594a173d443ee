"""Sign-in with Google: whom an ID token is of, once everything about it has been checked.

The checks are those of OpenID Connect Core, 3.1.3.7. No answer and no log repeats anything of a token.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import structlog
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import ClaimError, ExpiredTokenError, InvalidClaimError, JoseError
from joserfc.jws import JWSRegistry, extract_compact

from auth_service.clock import Clock
from auth_service.google_keys import ALGORITHM, GoogleKeys
from chassis.problems import Problem, unavailable

log = structlog.get_logger()

ISSUERS: Final = ("https://accounts.google.com", "accounts.google.com")
LEEWAY_SECONDS: Final = 60
NOT_BEFORE_SECONDS: Final = 3600  # nobody gains by asking again before an operator has done something
UNLINKED: Final = "unlinked:"  # how the file begins the name of an account that is not known yet; see `linking`
GOOGLES_OWN: Final = ("gmail.com", "googlemail.com")
LONGEST_SUB, LONGEST_EMAIL, LONGEST_NAME = 255, 320, 200
PICTURE: Final = re.compile(r"https://[A-Za-z0-9:/?#@!$&()*+,;=._~%\[\]-]{1,2000}")  # RFC 3986, without quotes
WRONG = (JoseError, ValueError, TypeError, KeyError, RecursionError)  # what a token of rubbish can raise on its way
REGISTRY: Final = JWSRegistry(algorithms=[ALGORITHM], strict_check_header=False)  # further header fields say nothing


@dataclass(frozen=True)
class Person:
    """Whom Google has confirmed. `at_google`: the address is one that Google gives out itself, so that it is of nobody
    else; of any other address it only knows that the person could once read what was sent there."""

    sub: str
    email: str
    name: str
    picture: str | None
    at_google: bool


class Google:
    """Believes the ID tokens that Google has made for `client_id`, and no others; without one, none at all."""

    def __init__(self, client_id: str | None, keys: GoogleKeys, now: Clock) -> None:
        self._client_id, self._keys, self._now = client_id, keys, now

    async def person(self, credential: str) -> Person:
        """Raises Problem: 401 for a token that is not believed, 503 while nobody can be believed."""
        if self._client_id is None:
            detail = "Google sign-in is not configured here. Go on as a guest."
            raise unavailable("google_unavailable", detail, retry_after=NOT_BEFORE_SECONDS)
        try:
            key = await self._keys.find(_key_id(credential))
            if key is None:
                raise InvalidClaimError("kid")
            return _person(self._claims(jwt.decode(credential, key, registry=REGISTRY)))
        except WRONG as error:
            log.info("credential_refused", reason=_reason(error))
            raise _refused(error) from None

    def _claims(self, token: jwt.Token) -> dict[str, Any]:
        ours = self._client_id
        believed = {
            "iss": {"essential": True, "values": ISSUERS},
            "aud": {"essential": True, "validate": lambda _, value: value in (ours, [ours])},
            "sub": {"essential": True, "validate": lambda _, value: _is_account(value)},
            "azp": {"validate": lambda _, value: value == ours},
            "email": {"essential": True, "validate": lambda _, value: _is_text(value, LONGEST_EMAIL)},
            "email_verified": {"essential": True, "validate": lambda _, value: value is True},
        }
        claims = CodeIDToken(token.claims, token.header, believed, {"client_id": ours})
        claims.validate(now=int(self._now().timestamp()), leeway=LEEWAY_SECONDS)
        return dict(claims)


def _key_id(credential: str) -> str:
    """The id of the key that a token names; what the token says is not believed yet."""
    header = extract_compact(credential.encode(), registry=REGISTRY).headers()
    if header["alg"] != ALGORITHM or not isinstance(header["kid"], str):
        raise ValueError("alg")
    return header["kid"]


def _person(claims: dict[str, Any]) -> Person:
    email = claims["email"].strip()
    at_google = _is_at_google(email, claims.get("hd"))
    return Person(claims["sub"], email, _name(claims) or email, _picture(claims.get("picture")), at_google)


def _is_at_google(email: str, hosted_domain: Any) -> bool:
    """Where Google is the authority on an address: its own domains, and that of a Workspace, which `hd` names
    (Google's "Verify the Google ID token on your server side"). A second domain of a Workspace counts as none."""
    domain = email.rpartition("@")[2].lower()
    return domain in GOOGLES_OWN or (
        isinstance(hosted_domain, str) and domain != "" and domain == hosted_domain.lower()
    )


def _name(claims: dict[str, Any]) -> str:
    """The name that Google shows, else the given and the family name; nothing where there is none that can be shown."""
    parts = (claims.get(part) for part in ("given_name", "family_name"))
    for name in (claims.get("name"), " ".join(part for part in parts if isinstance(part, str))):
        if isinstance(name, str) and (shown := "".join(filter(str.isprintable, name)).strip()):
            return shown[:LONGEST_NAME]
    return ""


def _picture(value: Any) -> str | None:
    """An address that a page may show: nothing but https."""
    return value if isinstance(value, str) and PICTURE.fullmatch(value) else None


def _is_account(value: Any) -> bool:
    return _is_text(value, LONGEST_SUB) and not value.startswith(UNLINKED)


def _is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable() and not value.isspace()


def _reason(error: Exception) -> str:
    """In words of the library's or ours: no message, which may repeat a part of the token."""
    what = error.error if isinstance(error, JoseError) else type(error).__name__
    return f"{what} ({error.claim})" if isinstance(error, ClaimError) else what


def _refused(error: Exception) -> Problem:
    detail = "Google's answer could not be verified. Sign in with Google again."
    if isinstance(error, ExpiredTokenError):
        detail = "Google's answer is too old by now. Sign in with Google again."
    elif isinstance(error, ClaimError) and error.claim == "email_verified":
        detail = (
            "Google has not verified the e-mail address of this account. Have it verified there, then sign in again."
        )
    return Problem(401, "credential_not_verified", detail)
