"""A generation worker: reads its owner's key from the vault, asks the provider for something, and writes the run.

python docs/worker.py user:4f1c R7c2f9a10 "a fox in the snow"
"""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import ClientSession

VAULT = os.environ.get("ANIMATIZE_VAULT_URL", "http://127.0.0.1:8004")
RUNS = os.environ.get("ANIMATIZE_RUNS_URL", "http://127.0.0.1:8003")
PROVIDER = "runway"


def headers(service: str, owner: str) -> dict[str, str]:
    """One token a service; the second header says for whom, and may be left out where the token is for one owner."""
    token = Path(os.environ[f"WORKER_{service}_TOKEN_FILE"]).read_text(encoding="ascii").strip()
    return {"Authorization": f"Bearer {token}", "Animatize-Owner": owner}


async def read_key(http: ClientSession, owner: str) -> str:
    async with http.get(f"{VAULT}/internal/keys/{PROVIDER}", headers=headers("VAULT", owner)) as answer:
        found = await answer.json(content_type=None)
        if answer.status != 200:
            raise SystemExit(f"no key: {found['detail']}")
        return str(found["api_key"])


async def generate(api_key: str, intent: str) -> dict[str, object]:
    """Stands for the call of the provider, which takes the key."""
    return {"status": "success", "intent": intent, "variants": [{"id": "v1", "favorite": False}]}


async def write_run(http: ClientSession, owner: str, run: dict[str, object]) -> None:
    """Writing it again changes nothing, so that whoever gets no answer may simply do so."""
    path = f"{RUNS}/internal/runs/{run['run_id']}"
    async with http.put(path, json=run, headers=headers("RUNS", owner)) as answer:
        if answer.status not in (200, 201):
            raise SystemExit(f"not written: {(await answer.json(content_type=None))['detail']}")


async def main(owner: str, run_id: str, intent: str) -> None:
    async with ClientSession() as http:
        made = await generate(await read_key(http, owner), intent)
        run = {"run_id": run_id, "created_at": datetime.now(UTC).isoformat(), "params": {"provider": PROVIDER}}
        await write_run(http, owner, run | made)
    sys.stdout.write(f"{run_id} of {owner} is written\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
