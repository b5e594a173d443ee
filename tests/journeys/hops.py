"""One request to each service by way of the gateway, each with its id and all in one trace, to be found in the logs."""

from typing import Final

from tests.journeys.browser import Browser

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLERS_SPAN: Final = "00f067aa0ba902b7"
# By request id, which is here the name of the next process: what that one refuses, and so tells of.
REFUSED: Final = {
    "auth_service": ("DELETE", "/api/auth/sessions/nobodys"),
    "settings_service": ("GET", "/api/settings/history/999999"),
    "runs_service": ("GET", "/api/runs/nothing-there"),
    "vault_service": ("DELETE", "/api/settings/api-keys/nobodys"),
}


async def go(browser: Browser, headers: dict[str, str]) -> None:
    for request_id, (method, path) in REFUSED.items():
        ids = {"X-Request-ID": request_id, "traceparent": f"00-{TRACE}-{CALLERS_SPAN}-01"}
        refused = await browser.refused(method, path, headers=headers | ids)
        assert refused["request_id"] == request_id
