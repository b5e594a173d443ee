"""The ways in and out: signing in, logging out, leaving for good. Each ends the session that it came with."""

from aiohttp import web

from chassis.messages import json_response, read_json
from chassis.problems import Problem
from gateway import adoption, erasure
from gateway.forwarding import SERVICES
from gateway.identity import IDENTITY, LEFT, SESSION, usable_token, user_agent
from gateway.journal import JOURNAL
from gateway.limiting import NEW_GUESTS, SIGN_INS
from gateway.models import AccountDeletion, GoogleCredential
from gateway.operations import Kind

LONGEST_CREDENTIAL = 16_384  # characters; Google's have some 1,200


async def log_out(request: web.Request) -> web.Response:
    """End this session; the answer carries the cookie of a fresh guest."""
    await request.app[IDENTITY].refuse_other(request)
    token = usable_token(request)
    if not await request.app[IDENTITY].is_user(token):  # who is signed in can always log out
        request.app[NEW_GUESTS].count(request)
    made = await request.app[SERVICES].auth.log_out(token)
    request.app[IDENTITY].forget()
    request.app[IDENTITY].admit(request, made)
    return json_response({"authenticated": False, "user": None})


async def sign_in_with_google(request: web.Request) -> web.Response:
    """Sign in with the ID token that Google Identity Services gave to the page."""
    request.app[SIGN_INS].count(request)
    body = await read_json(request, GoogleCredential)
    if len(body.credential) > LONGEST_CREDENTIAL:
        raise Problem(413, "too_large", f"No credential of Google's is longer than {LONGEST_CREDENTIAL} characters.")
    await request.app[IDENTITY].refuse_other(request)
    answer, made = await adoption.sign_in(
        body.credential, usable_token(request), user_agent(request), request.app[SERVICES], request.app[JOURNAL]
    )
    request.app[IDENTITY].forget()
    request.app[IDENTITY].admit(request, made)
    return json_response(answer)


async def delete_account(request: web.Request) -> web.Response:
    """Delete everything of this owner, in every service, for good. The cookie goes with it."""
    await read_json(request, AccountDeletion)
    await request.app[IDENTITY].refuse_ended(request)
    await erasure.erase(request[SESSION].owner, Kind.DELETION, request.app[SERVICES], request.app[JOURNAL])
    request.app[IDENTITY].forget()
    request[LEFT] = True
    return json_response({"deleted": True})
