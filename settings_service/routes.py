"""The addresses of the settings service. Each handler: read, ask the store, answer. What writes is done once."""

import re
from contextlib import aclosing
from typing import Any, Final

from aiohttp import web

from chassis import openapi
from chassis.messages import json_response, outdated, read_query, read_value, streamed, unchanged, validated
from chassis.once import write_once
from chassis.peers import Scope, caller
from chassis.problems import Problem
from chassis.serving import DATABASE, Route
from settings_service import versions
from settings_service.merging import merge_patch
from settings_service.models import (
    Changes,
    History,
    HistoryQuery,
    KnownSettings,
    PatchQuery,
    Profile,
    SavedSettings,
    SaveSettings,
    SettingsPatch,
    Version,
)
from settings_service.patching import Patch
from settings_service.presets import PRESETS, Presets
from settings_service.store import Outdated, Store

STORE: web.AppKey[Store] = web.AppKey("store", Store)
UNNAMED_CHANGE: Final = "settings_change"
VERSION: Final = re.compile("[1-9][0-9]{0,15}")


async def show_settings(request: web.Request) -> web.Response:
    """The current settings"""
    profile = await request.app[STORE].profile(caller(request).owner)
    etag = str(profile.version)
    if unchanged(request, etag):
        return web.Response(status=304, headers={"ETag": f'"{etag}"'})
    return json_response(profile.shown(), etag=etag)


async def save_settings(request: web.Request) -> web.Response:
    """Replace the settings; unknown keys are kept, none is added"""
    if request.query:
        raise Problem(
            400, "invalid_query", "PUT takes no query: the note goes into the body, and base belongs to PATCH."
        )
    value = await read_value(request)
    note = validated(SaveSettings, value).change_note
    work = request.app[STORE].to_save(
        caller(request).owner,
        value["settings"],  # as it was sent, not as the model understood it
        UNNAMED_CHANGE if note is None else note,
        _outdated(request),
    )
    return await write_once(request, request.app[DATABASE], work, _saved)


async def patch_settings(request: web.Request) -> web.Response:
    """Change some of the settings by a merge patch (RFC 7396); lose nothing that others have changed since `base`"""
    query, patch = read_query(request, PatchQuery), await read_value(request)
    _refuse_wrapped(patch)
    validated(KnownSettings, merge_patch({}, patch))  # a null removes a key and is no value of it
    note = UNNAMED_CHANGE if query.change_note is None else query.change_note
    work = await request.app[STORE].to_patch(caller(request).owner, Patch(patch, query.base), note, _outdated(request))
    return await write_once(request, request.app[DATABASE], work, _saved)


async def list_history(request: web.Request) -> web.Response:
    """The versions of the settings, newest first"""
    query = read_query(request, HistoryQuery)
    return json_response(await request.app[STORE].history(caller(request).owner, query.limit, query.before))


async def show_version(request: web.Request) -> web.Response:
    """One version of the settings"""
    return json_response(await request.app[STORE].version(caller(request).owner, _version(request)))


async def compare_version(request: web.Request) -> web.Response:
    """What has changed between a version and the current settings"""
    return json_response({"changes": await request.app[STORE].diff(caller(request).owner, _version(request))})


async def restore_version(request: web.Request) -> web.Response:
    """Make a new version that repeats an older one"""
    work = request.app[STORE].to_restore(caller(request).owner, _version(request), _outdated(request))
    return await write_once(request, request.app[DATABASE], work, _saved)


async def list_presets(_: web.Request) -> web.Response:
    """The presets"""
    return json_response(PRESETS)


async def stream_backup(request: web.Request) -> web.StreamResponse:
    """The profile and its whole history of one moment, a line each"""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    async with aclosing(request.app[STORE].backup(caller(request).owner)) as lines:
        return await streamed(request, response, lines)


async def describe(_: web.Request) -> web.Response:
    """What this service adds to the OpenAPI document"""
    return json_response(openapi.describe(ROUTES))


def _refuse_wrapped(patch: Any) -> None:
    """Raises Problem 400 for a patch in the shape that PUT takes: it would change nothing that anybody looks at."""
    if (
        isinstance(patch, dict)
        and isinstance(patch.get("settings"), dict)
        and patch.keys() <= SaveSettings.model_fields.keys()
    ):
        detail = (
            "PATCH takes the settings themselves, without `settings` around them; a change_note goes into the query."
        )
        raise Problem(400, "wrapped", detail)


def _saved(profile: versions.Profile) -> web.Response:
    return json_response(profile.saved(), etag=str(profile.version))


def _outdated(request: web.Request) -> Outdated:
    """Whether If-Match or If-None-Match forbids a write (RFC 9110, 13.1.1 and 13.1.2)."""
    return lambda etag: outdated(request, etag) or unchanged(request, etag)


def _version(request: web.Request) -> int:
    text = request.match_info["id"]
    if VERSION.fullmatch(text) is None:
        raise Problem(404, "unknown_version", "A version is a number, and this is none.")
    return int(text)


HISTORY = "/api/settings/history"
ROUTES: Final = [
    Route("GET", "/api/settings", show_settings, Scope.OWNER, answer=Profile),
    Route("PUT", "/api/settings", save_settings, Scope.OWNER, body=SaveSettings, answer=SavedSettings),
    Route(
        "PATCH",
        "/api/settings",
        patch_settings,
        Scope.OWNER,
        body=SettingsPatch,
        query=PatchQuery,
        answer=SavedSettings,
    ),
    Route("GET", HISTORY, list_history, Scope.OWNER, query=HistoryQuery, answer=History),
    Route("GET", HISTORY + "/{id}", show_version, Scope.OWNER, answer=Version),
    Route("GET", HISTORY + "/{id}/diff", compare_version, Scope.OWNER, answer=Changes),
    Route("POST", HISTORY + "/{id}/restore", restore_version, Scope.OWNER, answer=SavedSettings),
    Route("GET", "/api/presets", list_presets, Scope.OWNER, answer=Presets),
    Route("GET", "/internal/backup", stream_backup, Scope.SYSTEM),
    Route("GET", "/internal/openapi", describe, Scope.SYSTEM),
]
