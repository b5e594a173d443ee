"""Fills the profile of a browser through the API, with its own cookie: runs by the thousand, settings, keys.

`continue_as_guest` is the person's own part: before, the console shows nobody's library.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from playwright.async_api import APIResponse, BrowserContext, Page

from chassis.documents import write
from tests.browser.pictures import data_url, swatch

STATUSES: Final = ("success", "success", "success", "failed", "not_executed", "not_configured")
PROVIDERS: Final = ("runway", "pika", "veo", "sora", "flux", None)
PARAMETERS: Final = {"duration": 6, "aspect_ratio": "16:9", "motion_intensity": 5, "quality_mode": "balanced"}
FIRST: Final = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
EVERY: Final = timedelta(minutes=41)

HOSTILE: Final = (
    '<img src=x onerror="alert(1)">',
    "<script>alert(1)</script>",
    '"><svg/onload=alert(1)>',
    "javascript:alert(1)",
    "<b>bold</b> &amp; &lt;i&gt;",
    "{{7*7}} ${7*7} `${alert(1)}`",
    "\u202etxet desrever\u202c and \u200bnothing\u200b between",
    "</title></textarea></style><iframe srcdoc='<script>alert(1)</script>'>",
)
INTENTS: Final = (
    "Slow push-in on a lighthouse keeper at blue hour, fog rolling over the rocks",
    "Zażółć gęślą jaźń: powolny najazd na łąkę o świcie, źdźbła w rosie",
    "Overhead of a night market, steam and neon, handheld",
    "夕暮れの港、霧の中を進む漁船、静かなドリーショット",
    "雨夜的霓虹街道,主角撑伞走向镜头,浅景深",
    "비 내리는 골목, 네온사인 아래 기다리는 사람",
    "لقطة بطيئة لسوق قديم عند الغروب، غبار ذهبي في الضوء",
    "צילום איטי של חוף ריק בזריחה, גלים רכים, 35 מ״מ",
    "🎬 Astronaut 👩🏽‍🚀 walks into the light 🌅, lens flare, 🇵🇱 flag in the wind",
    "Two lovers on a train platform; the train leaves.\r\nShe stays.",
    "Macro: ink in water, backlit, 120 fps",
    "Crane down through autumn leaves onto an empty bench",
    "Mixed: a sign that says שלום next to مرحبا and 你好, left to right and back",
)
LONG: Final = "An endless corridor of doors, and behind each one a different weather, " * 40
UNBROKEN: Final = "Donaudampfschifffahrtsgesellschaftskapitän" * 12


def runs(number: int, first: int = 0) -> list[dict[str, Any]]:
    """So many different ones, oldest first, 41 minutes apart; those of another `first` go before or after them."""
    return [run(which, _intent(which)) for which in range(first, first + number)]


def run(which: int, intent: str, **fields: Any) -> dict[str, Any]:
    """One as the console writes it, with `fields` in place of the usual ones. `which` names it, and dates it."""
    provider = PROVIDERS[which % len(PROVIDERS)]
    status = fields.pop("status", STATUSES[which // 2 % len(STATUSES)])
    image = fields.pop("image", None) or swatch(which)
    usual: dict[str, Any] = {
        "run_id": f"R{which:08x}",
        "created_at": (FIRST + which * EVERY).isoformat("T", "microseconds"),
    }
    usual |= {"status": status, "intent": intent, "preset": "cinematic-balanced"}
    usual |= {"params": {**PARAMETERS, "provider": provider, "variants": 1 + which % 3}}
    usual |= {"source_image": {"filename": f"frame-{which}.png", "content_type": "image/png", "bytes": len(image)}}
    usual |= {"analysis": {"subjects": {}}, "available_providers": [provider] if provider else []}
    usual |= {"source_image_data_url": data_url(image)}
    usual |= {"variants": [_variant(usual, number) for number in range(1, 2 + which % 3)]}
    return usual | fields


async def seed(
    context: BrowserContext,
    *,
    runs: Iterable[Mapping[str, Any]] = (),
    settings: Mapping[str, Any] | None = None,
    keys: Mapping[str, str] | None = None,
) -> None:
    """Put this into the profile; a context that has no cookie becomes a guest. `settings` are a merge patch."""
    await _sent(context, "GET", "/api/session/bootstrap")
    if document := list(runs):
        answer = await _sent(context, "POST", "/api/settings/restore", {"runs": document})
        assert (await answer.json())["restored_runs"] == len(document)
    if settings:
        await _sent(context, "PATCH", "/api/settings", settings)
    for provider, key in (keys or {}).items():
        await _sent(context, "PUT", f"/api/settings/api-keys/{provider}", {"api_key": key})


async def continue_as_guest(page: Page) -> None:
    """Open the console for the first time, and stay; from then on the context's storage state opens it at once."""
    await page.goto("/")
    await page.get_by_role("button", name="Continue as guest").click()
    await page.get_by_role("heading", name="Library").wait_for()


async def _sent(context: BrowserContext, method: str, path: str, value: Any = None) -> APIResponse:
    data = None if value is None else write(value)
    headers = {"Content-Type": "application/json"}
    answer = await context.request.fetch(path, method=method, data=data, headers=headers, timeout=0)
    assert answer.ok, await answer.text()
    return answer


def _intent(which: int) -> str:
    if which % 50 == 49:
        return f"{which}: {LONG if which % 100 == 49 else UNBROKEN}"
    texts = HOSTILE if which % 12 == 11 else INTENTS
    return f"{texts[which % len(texts)]} · {which}"


def _variant(run: Mapping[str, Any], number: int) -> dict[str, Any]:
    which = int(run["run_id"][1:], 16)
    variant = {"id": f"{run['run_id']}-v{number}", "label": f"Take {number}", "status": run["status"]}
    variant |= {"provider": run["params"]["provider"], "model": "gen-4" if which % 2 else None}
    variant |= {
        "prompt_text": f"{run['intent'][:100]}. Motion: slow. Take {number}.",
        "model_parameters": {"seed": which * 7 + number},
    }
    variant |= {"compiled_prompt": {"text": run["intent"][:60], "created_at": "2026-01-05T09:30:00"}, "execution": None}
    return variant | {
        "error": "The provider took too long" if run["status"] == "failed" else None,
        "favorite": which % 7 == number,
    }
