"""A generation worker's way to a provider key: past the gateway, from the vault itself."""

from aiohttp import ClientSession
from pydantic import SecretStr

from chassis.peers import Caller, Scope, Signer
from tests.faults.files import owner_of_run
from tests.journeys.browser import Browser
from tests.journeys.drive import Secrets
from tests.processes import Stack

RUN = "of-somebody-with-a-worker"
KEY = "/internal/keys/runway"


async def read_a_key(stack: Stack, planted: Secrets) -> None:
    """The owner's key, whole, to a worker that acts for the owner; to nobody else."""
    async with Browser(stack.url) as browser, ClientSession(stack.url_of("vault_service")) as vault:
        await browser.put(f"/api/runs/{RUN}", {"run_id": RUN})
        await browser.put("/api/settings/api-keys/runway", {"api_key": planted.api_key})
        planted.note_cookies(browser)
        owner = owner_of_run(stack.data, RUN)
        for scope, told in ((Scope.WORKER, planted.api_key), (Scope.OWNER, None)):
            token = Signer(SecretStr(planted.root)).token(Caller(owner, scope), "vault")
            planted.tokens.add(token)
            async with vault.get(KEY, headers={"Authorization": f"Bearer {token}"}) as answer:
                assert (answer.status == 200, (await answer.json()).get("api_key")) == (told is not None, told)
