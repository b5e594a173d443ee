"""Sessions of users that ended long ago go; a guest's are for the sweep, which erases the guest everywhere first."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from auth_service.upkeep import chores
from chassis.schema import bring_up, connect
from chassis.upkeep import clean

ADD = """
    INSERT INTO sessions (session_id, token_hash, owner, created_at, last_seen_at, expires_at)
    VALUES (?1, CAST(?1 AS BLOB), ?2, ?3, ?3, ?3)"""


def test_what_ended_a_month_ago_goes_and_guests_and_live_sessions_stay(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    bring_up(tmp_path / "auth.db", "auth_service")
    with closing(connect(tmp_path / "auth.db")) as tx:
        for name, days in (("live", 1), ("ended", -29), ("long ago", -31)):
            for owner in ("user:1", "guest:a"):
                ends = (now + timedelta(days=days)).isoformat(timespec="microseconds")
                tx.execute(ADD, (f"{name} {owner}", owner, ends))
        assert clean(tx, chores(now), lambda _: None) == {"ended_sessions": 1}
        left = {row[0] for row in tx.execute("SELECT session_id FROM sessions WHERE owner = 'user:1'")}
        assert left == {"live user:1", "ended user:1"}
        assert tx.execute("SELECT count(*) FROM sessions WHERE owner = 'guest:a'").fetchone()[0] == 3
