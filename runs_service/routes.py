"""What the runs service answers: the route table, then thin handlers. Workers write at `/internal/runs`."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

from aiohttp import web

from chassis import changes, documents, owners, staging
from chassis.messages import json_response, outdated, read_json, read_query, read_value, streamed, unchanged, validated
from chassis.once import write_once
from chassis.openapi import describe
from chassis.peers import Scope, caller
from chassis.problems import Problem
from chassis.serving import DATABASE, ROUTES, Route
from runs_service import audit, following, images, models, paging, store, views
from runs_service.belongings import RunsBelongings
from runs_service.listing import Selection
from runs_service.part import RunsPart
from runs_service.records import Record, record
from runs_service.store import Store, unknown_run
from runs_service.tokens import BadToken, Progress, Tokens

STORE: web.AppKey[Store] = web.AppKey("store", Store)
TOKENS: web.AppKey[Tokens] = web.AppKey("tokens", Tokens)
LONG_BODY = 1 << 20
IMAGE_HEADERS = {
    "Cache-Control": "private, no-cache",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}


def routes(part: RunsPart) -> list[Route]:
    owner, system, worker, run = Scope.OWNER, Scope.SYSTEM, Scope.WORKER, models.Run
    one = "/api/runs/{run_id:[^/]+}"  # aiohttp's own pattern has no place for the braces that an id may hold
    favorite = one + "/variants/{variant_id:[^/]+}/favorite"
    return [
        Route("GET", "/api/runs", list_runs, owner, query=models.PageQuery, answer=models.Runs),
        Route("POST", "/api/runs", post_run, owner, body=run, answer=models.Written),
        Route("DELETE", "/api/runs", delete_all_runs, owner, answer=models.AllDeleted),
        Route("GET", one, get_run, owner, answer=run),
        Route("PUT", one, put_run, owner, body=run, answer=models.Written),
        Route("DELETE", one, delete_run, owner, answer=models.RunDeleted),
        Route("GET", one + "/source-image", get_source_image, owner),
        Route("PUT", favorite, put_favorite, owner, body=models.Favorite, answer=models.FavoriteSet),
        Route("POST", "/internal/runs", post_run, worker, body=run, answer=models.Written),
        Route("PUT", "/internal/runs/{run_id:[^/]+}", put_run, worker, body=run, answer=models.Written),
        Route("GET", "/internal/backup", back_up, system),
        Route("GET", "/internal/openapi", describe_api, system),
        *staging.routes(DATABASE, part),
        *owners.routes(DATABASE, RunsBelongings(), part),
        *changes.routes(_newest_token),
    ]


async def list_runs(request: web.Request) -> web.StreamResponse:
    """The newest runs, oldest of them first; the cursor leads to older ones. With `since`, what has happened after."""
    query = read_query(request, models.PageQuery)
    if query.since is not None:
        return await _delta(request, query, query.since)
    page = await request.app[STORE].page(caller(request).owner, _selection(query))
    rest = {"next_cursor": paging.encode(page.next) if page.next else None}
    return await _in_slices(request, query.view, page.first, page.later, rest)


async def post_run(request: web.Request) -> web.Response:
    """Make a run, with an id of ours where it has none; with its own it is made or replaced."""
    run = await _read_run(request)
    while run.get("run_id") is None:
        named = run | {"run_id": f"R{secrets.token_hex(4)}"}
        try:
            return await _written(request, named, fresh=True)
        except Problem as problem:
            if problem.code != "precondition_failed" or request.if_match is not None:
                raise
    return await _written(request, run)


async def delete_all_runs(request: web.Request) -> web.Response:
    """Delete every run."""
    work = partial(store.delete_all, caller(request).owner)
    return await write_once(request, request.app[DATABASE], work, _all_deleted)


async def get_run(request: web.Request) -> web.Response:
    """One run as it was written."""
    run_id = request.match_info["run_id"]
    found = await request.app[STORE].run(caller(request).owner, run_id, partial(unchanged, request))
    if found is None:
        raise unknown_run(run_id)
    headers = {"ETag": f'"{found.etag}"'}
    if found.content is None:
        return web.Response(status=304, headers=headers)
    return web.Response(body=found.content, content_type="application/json", headers=headers)


async def put_run(request: web.Request) -> web.Response:
    """Make or replace one run."""
    run = await _read_run(request)
    if run.get("run_id") != request.match_info["run_id"]:
        raise Problem(400, "run_id_mismatch", "The body has to have the run_id of the address.")
    return await _written(request, run)


async def delete_run(request: web.Request) -> web.Response:
    """Delete one run."""
    run_id = request.match_info["run_id"]
    work = partial(store.delete, caller(request).owner, run_id, partial(_forbids, request))
    answer = models.RunDeleted(run_id=run_id)
    return await write_once(request, request.app[DATABASE], work, lambda _: json_response(answer))


async def get_source_image(request: web.Request) -> web.Response:
    """The decoded source image of one run, sent so that a browser never runs it."""
    run_id = request.match_info["run_id"]
    found = await request.app[STORE].source_image(caller(request).owner, run_id, partial(unchanged, request))
    if found is None:
        raise Problem(404, "no_image", f"There is no source image of a run {run_id!r}.")
    headers = IMAGE_HEADERS | {"ETag": f'"{found.etag}"'}
    if found.content is None:
        return web.Response(status=304, headers=headers)
    media_type = images.media_type(found.content)
    if media_type == images.UNKNOWN:
        headers |= {"Content-Disposition": "attachment"}
    return web.Response(body=found.content, content_type=media_type, headers=headers)


async def put_favorite(request: web.Request) -> web.Response:
    """Mark one variant of a run as a favourite, or no longer."""
    run_id, variant_id = request.match_info["run_id"], request.match_info["variant_id"]
    favorite = (await read_json(request, models.Favorite)).favorite
    mark, forbids = partial(_mark, variant_id, favorite), partial(_forbids, request)
    work = partial(store.change, caller(request).owner, run_id, mark, forbids, request.app[STORE].limits)
    answer = models.FavoriteSet(run_id=run_id, variant_id=variant_id, favorite=favorite)
    return await write_once(request, request.app[DATABASE], work, lambda etag: json_response(answer, etag=etag))


async def back_up(request: web.Request) -> web.StreamResponse:
    """Every run of the owner, oldest first, one a line."""
    async with aclosing(request.app[STORE].backup(caller(request).owner)) as lines:
        return await streamed(request, _stream("application/x-ndjson"), lines)


async def describe_api(request: web.Request) -> web.Response:
    """The OpenAPI paths and models of this service."""
    return json_response(describe(list(request.app[ROUTES].values())))


async def _read_run(request: web.Request) -> dict[str, Any]:
    run: dict[str, Any] = await read_value(request)
    validated(models.Run, run)
    views.refuse_summary(run)
    return run


async def _written(request: web.Request, run: dict[str, Any], *, fresh: bool = False) -> web.Response:
    kept = await _record(request, run)
    forbids = (lambda etag: etag is not None or outdated(request, etag)) if fresh else partial(_forbids, request)
    who = caller(request)
    work = audit.audited(who, kept.run_id, partial(store.put, who.owner, kept, forbids, request.app[STORE].limits))
    return await write_once(request, request.app[DATABASE], work, partial(_told, request.method, kept))


def _told(method: str, kept: Record, created: bool) -> web.Response:
    answer = models.Written(run_id=kept.run_id, created=created)
    response = json_response(answer, status=201 if created else 200, etag=kept.digest)
    if method == "POST":
        response.headers["Location"] = views.path(kept.run_id)
    return response


def _all_deleted(number: int) -> web.Response:
    return json_response(models.AllDeleted(deleted_runs=number))


async def _record(request: web.Request, run: dict[str, Any]) -> Record:
    """The row of a run; a long one is worked out on a thread, so that others are answered meanwhile."""
    work = partial(record, run, request.app[STORE].limits.run)
    return await asyncio.to_thread(work) if (request.content_length or LONG_BODY) >= LONG_BODY else work()


def _selection(query: models.PageQuery) -> Selection:
    try:
        before = paging.decode(query.cursor) if query.cursor else None
    except paging.BadCursor as error:
        raise Problem(400, "bad_cursor", "No page gave this cursor; begin again without one.") from error
    folded = query.q.casefold() if query.q else None
    return Selection(query.limit, query.view, before, query.status, query.provider, query.favorite, folded)


async def _delta(request: web.Request, query: models.PageQuery, since: str) -> web.StreamResponse:
    owner, tokens = caller(request).owner, request.app[TOKENS]
    try:
        progress = tokens.decode(owner, since) if since else None
    except BadToken as error:
        raise following.resync_required() from error
    delta = await request.app[DATABASE].read(partial(following.delta, owner, progress, query.limit, query.view))
    token = tokens.encode(owner, delta.reached)
    rest = {"deleted": delta.deleted, "token": token, "has_more": delta.has_more}
    return await _in_slices(request, query.view, delta.first, delta.later, rest)


def _newest_token(app: web.Application, owner: str, version: int) -> dict[str, Any]:
    """As the last page of `since` gives it. That of a profile that was never written to holds where nobody was ever
    erased, since only then its first place is known to be 1; elsewhere whoever comes with it begins anew."""
    return {"token": app[TOKENS].encode(owner, Progress(version, max(version, 1)))}


async def _in_slices(
    request: web.Request, view: models.View, first: list[bytes], later: list[list[str]], rest: dict[str, Any]
) -> web.StreamResponse:
    """`{runs, …rest}`, streamed where the runs are more than a slice."""
    pieces = _pieces(request, view, first, later, rest)
    if later:
        return await streamed(request, _stream("application/json"), pieces)
    return web.Response(body=b"".join([piece async for piece in pieces]), content_type="application/json")


async def _pieces(
    request: web.Request, view: models.View, first: list[bytes], later: list[list[str]], rest: dict[str, Any]
) -> AsyncIterator[bytes]:
    """As JSON, slice by slice; between two slices no connection to the database is held."""
    yield b'{"runs":[' + b",".join(first)
    some = bool(first)
    for run_ids in later:
        if runs := await request.app[STORE].runs(caller(request).owner, run_ids, view):
            yield (b"," if some else b"") + b",".join(runs)
            some = True
    yield b"]," + documents.write(rest)[1:]


def _stream(content_type: str) -> web.StreamResponse:
    return web.StreamResponse(headers={"Content-Type": content_type})


def _forbids(request: web.Request, etag: str | None) -> bool:
    """Whether If-Match or If-None-Match (RFC 9110, 13.1) forbids to write over what is there."""
    return outdated(request, etag) or (etag is not None and unchanged(request, etag))


def _mark(variant_id: str, favorite: bool, run: dict[str, Any]) -> None:
    found = [variant for variant in run.get("variants", []) if variant.get("id") == variant_id]
    if not found:
        raise Problem(404, "unknown_variant", f"The run has no variant {variant_id!r}.")
    for variant in found:
        variant["favorite"] = favorite
