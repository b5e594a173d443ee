"""Stands in for Google in a browser: a script that keeps to the part of its API that pages use, and an account.

https://developers.google.com/identity/gsi/web/reference/js-reference says what that is. Nothing is asked of Google.
"""

from typing import Any, Final

from playwright.async_api import BrowserContext, Route

from tests.browser.guard import Guard
from tests.issuer import Issuer

CLIENT: Final = "https://accounts.google.com/gsi/client"
ACCOUNT: Final = "credentialOfGoogle"
LABEL: Final = "Sign in with Google"
SCRIPT: Final = f"""
(() => {{
  let configuration
  const id = {{
    initialize(given) {{
      if (!given?.client_id || typeof given.callback !== "function") throw new TypeError("client_id and callback")
      configuration = given
    }},
    renderButton(parent, options) {{
      if (!(parent instanceof HTMLElement) || !configuration || !options) throw new TypeError("initialize comes first")
      const button = document.createElement("button")
      button.type = "button"
      button.textContent = "{LABEL}"
      button.addEventListener("click", async () => {{
        options.click_listener?.()
        const credential = await window.{ACCOUNT}(configuration.client_id)
        configuration.callback({{ credential, select_by: "btn", clientId: configuration.client_id }})
      }})
      parent.replaceChildren(button)
    }},
    prompt() {{}},
    cancel() {{}},
    disableAutoSelect() {{}},
    storeCredential(_credential, done) {{ done?.() }},
    revoke(_hint, done) {{ done?.({{ successful: true }}) }},
  }}
  window.google = {{ accounts: {{ id }} }}
  window.onGoogleLibraryLoad?.()
}})()
"""


class Google:
    """`await google.serve(page.context, sub="7")` before the page is opened; then its button signs that account in.

    `claims` are those of the ID token that differ from the usual ones. `asked` counts the clicks.
    """

    def __init__(self, issuer: Issuer, guard: Guard) -> None:
        self._issuer, self._guard = issuer, guard
        self.asked = 0

    async def serve(self, context: BrowserContext, sub: str = "1", **claims: Any) -> None:
        async def credential(_source: Any, client_id: str) -> str:
            self.asked += 1
            return self._issuer.credential(sub, **{"aud": client_id} | claims)

        async def answer(route: Route) -> None:
            await route.fulfill(content_type="text/javascript; charset=utf-8", body=SCRIPT)

        self._guard.allow("/gsi/client", foreign=CLIENT)
        await context.expose_binding(ACCOUNT, credential)
        await context.route(CLIENT, answer)
