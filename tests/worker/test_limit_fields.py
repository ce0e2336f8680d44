"""The fields RateLimit and RateLimit-Policy on the wire: when they close an account, and for how long at most."""

from pathlib import Path

import pytest

from tests.support.byte_servers import answering, reply, serving
from tests.support.spec_samples import job_with
from tests.worker.executor_setup import open_executor
from tests.worker.login_api import spec_with
from tidewaiter.database.engine import Database
from tidewaiter.domain import outcome as o

SPEC = spec_with("") + '\n[limits.headers]\nrate_limit = "RateLimit"\npolicy = "RateLimit-Policy"\n'
PENDING = b'{"status": "pending"}'


@pytest.mark.parametrize(
    ("data", "kind", "closed_s"),
    [
        (reply(200, PENDING, 'RateLimit: "day";r=0;t=40', 'RateLimit-Policy: "day";q=9;w=86400'), o.Pending, 40.0),
        (reply(200, PENDING, 'ratelimit: "a";r=0;t=7', 'RateLimit: "b";r=0;t=30'), o.Pending, 30.0),
        (reply(429, b"{}", 'RateLimit: "a";r=0;t=40'), o.Throttled, 40.0),
        (reply(429, b"{}", 'RateLimit: "a";r=0;t=40', "Retry-After: 90"), o.Throttled, 90.0),
        (reply(200, PENDING, 'RateLimit: "a";r=0;t=999999999'), o.Pending, 3600.0),
        (reply(200, PENDING, 'RateLimit: "a";r=0;t=0'), o.Pending, 1.0),
        (reply(200, PENDING, 'RateLimit: "a";r=9;t=40'), o.Pending, None),
        (reply(200, PENDING, 'RateLimit: "a";r=0;t=40,', "RateLimit-Policy: ((("), o.Pending, None),
        (reply(200, PENDING, "RateLimit: " + '"a";r=0;t=40,' * 600 + '"a"'), o.Pending, None),
        (reply(200, PENDING, 'RateLimit: "\xe4";r=0;t=40'), o.Pending, None),
    ],
)
async def test_they_close_the_account(
    database: Database, tmp_path: Path, data: bytes, kind: type, closed_s: float | None
) -> None:
    """Until there is more, and never longer than can be true; what cannot be read changes nothing."""
    async with (
        serving(answering(data)) as server,
        open_executor(database, tmp_path, job_with(), spec=SPEC, server=server.origin) as setup,
    ):
        assert isinstance(await setup.take(), kind)
        if closed_s is None:
            assert setup.budget.closed_until == 0.0
            assert setup.events("account.paused") == []
        else:
            assert setup.budget.closed_until == pytest.approx(setup.clock.at + closed_s)
            assert [line["until_s"] for line in setup.events("account.paused")] == [closed_s]
