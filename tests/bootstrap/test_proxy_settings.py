"""``[network] proxy``: the daemon, webhooks, the doctor and buckets follow it, and no text shows its password."""

from pathlib import Path

import pytest

from tests.support.byte_servers import answering, reply, serving
from tests.support.certificates import Authority
from tests.support.configurations import faults_of as faults_of_file
from tests.support.configurations import write
from tests.support.daemon_in_process import DaemonSetup
from tests.support.doctor_run import consulted
from tests.support.proxy_server import proxying
from tidewaiter.bootstrap import faults_of
from tidewaiter.bootstrap.start_checks import bucket_options, connections_of
from tidewaiter.bootstrap.webhooks import send_test
from tidewaiter.clock import SystemClock
from tidewaiter.config import load
from tidewaiter.doctor.findings import CheckStatus
from tidewaiter.domain.job import State
from tidewaiter.emulators.oneall import OneAllEmulator
from tidewaiter.transport.proxies import Proxies, Proxy

PASSWORD = "canary-of-the-proxy"
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def account(url: str) -> str:
    """The table of an account whose probe is one request with HTTP Basic."""
    return (
        '[accounts.shop]\nprovider = "oneall"\nallow_private = true\n[accounts.shop.settings]\nsubdomain = "my-app"\n'
        f'base_url = "{url}"\npublic_key = "public"\nprivate_key = "canary-key"\n'
    )


def network(folder: Path, proxy: str, more: str = "") -> str:
    """The table, with a sign-in whose password stands in a file."""
    (folder / "proxy.password").write_text(PASSWORD)
    return f'[network]\nproxy = "{proxy}"\nproxy_user = "tide"\nproxy_password_file = "proxy.password"\n{more}\n'


@pytest.mark.slow
async def test_a_daemon_behind_a_proxy(setup: DaemonSetup) -> None:
    """Its requests go through the proxy, which alone knows the name; a reload takes another one, or none."""
    async with proxying(user="tide", password=PASSWORD) as proxy, proxying() as other:
        shop = setup.account("shop").replace("127.0.0.1", "shop.test")
        setup.write(shop, network(setup.folder, proxy.url))
        async with setup.serving():
            (job,) = await setup.until(await setup.submit("shop"))
            assert job.state is State.SUCCEEDED
            assert all(asked.target.startswith("http://shop.test:") for asked in proxy.asked)
            before = len(proxy.asked)
            setup.write(shop, f'[network]\nproxy = "{other.url}"\n')
            told = await setup.reload()
            assert (told["changed"], told["lanes"]) == (
                ["network.proxy", "network.proxy_password", "network.proxy_user"], 0,
            )  # fmt: skip
            (job,) = await setup.until(await setup.submit("shop", export_type="CLICKS"))
            assert job.state is State.SUCCEEDED
    assert (len(proxy.asked), bool(other.asked)) == (before, True)
    assert PASSWORD not in setup.output.getvalue()


@pytest.mark.slow
async def test_a_proxy_that_refuses_a_submit(setup: DaemonSetup) -> None:
    """A submit that the proxy refuses was not sent, so its job is not parked; it is done when the proxy permits it."""
    async with proxying(says=b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n") as proxy:
        shop = setup.account("shop").replace("127.0.0.1", "shop.test")
        setup.write(shop, f'[network]\nproxy = "{proxy.url}"\n')
        async with setup.serving():
            numbers = await setup.submit("shop")
            await setup.comes(lambda: bool(proxy.asked))
            proxy.says = None
            (job,) = await setup.until(numbers)
    assert job.state is State.SUCCEEDED
    assert setup.emulator.count("create") == 1


async def test_a_webhook(tmp_path: Path) -> None:
    """A test notification takes the same way."""
    async with serving(answering(reply(204))) as receiver, proxying(user="tide", password=PASSWORD) as proxy:
        hook = f'[notifications.ops]\nurl = "http://hooks.test:{receiver.port}/"\nsecret = "{SECRET}"\n'
        hook += "allow_private = true\n"
        config = load(write(tmp_path, network(tmp_path, proxy.url) + hook), {})
        assert (await send_test(config, "ops")).accepted
    assert [asked.target for asked in proxy.asked] == [f"http://hooks.test:{receiver.port}/"]


async def test_the_doctor_through_a_proxy(tmp_path: Path) -> None:
    """It names the proxy instead of looking the name up, and its probe takes the same way."""
    async with (
        OneAllEmulator(clock=SystemClock(), public_key="public", private_key="canary-key") as provider,
        proxying(user="tide", password=PASSWORD) as proxy,
    ):
        text = account(provider.origin.replace("127.0.0.1", "api.shop.test"))
        found = await consulted(tmp_path, text + network(tmp_path, proxy.url))
        assert {check for subject, check in found if subject == "shop"} == {"tls", "login", "clock"}
        assert found["shop", "login"].status is CheckStatus.OK
        assert f"the proxy {proxy.url} accepts connections" in found["shop", "tls"].message
        assert proxy.asked[-1].target.startswith("http://api.shop.test:")
        inner = await consulted(tmp_path, text.replace("api.shop.test", "metadata") + network(tmp_path, proxy.url))
    assert inner["shop", "tls"].status is CheckStatus.FAILURE
    assert "metadata is a metadata service of a cloud, and no proxy is asked for it" in inner["shop", "tls"].message


async def test_the_doctor_and_a_tunnel(tmp_path: Path) -> None:
    """The certificate behind a tunnel is checked; what the proxy refuses is told with its keys."""
    authority = Authority.made(tmp_path)
    trusted = f'ca_file = "{authority.file}"'
    async with (
        serving(answering(reply()), authority.server("api.shop.test")) as server,
        proxying(user="tide", password=PASSWORD) as proxy,
    ):
        text = account(f"https://api.shop.test:{server.port}")
        found = await consulted(tmp_path, text + network(tmp_path, proxy.url, trusted))
        assert found["shop", "tls"].status is CheckStatus.OK
        assert found["shop", "tls"].message.endswith(f"days; through the proxy {proxy.url}")
        found = await consulted(tmp_path, text + network(tmp_path, proxy.url))
        assert "its certificate is from an unknown authority" in found["shop", "tls"].message
        proxy.password = "another"
        found = await consulted(tmp_path, text + network(tmp_path, proxy.url, trusted))
        assert "HTTP 407, check network.proxy_user" in found["shop", "tls"].message
        for says, told in ((b"nonsense\r\n\r\n", "does not answer as an HTTP proxy"), (b"", "does not answer: ")):
            proxy.password, proxy.says = PASSWORD, says
            found = await consulted(tmp_path, text + network(tmp_path, proxy.url, trusted))
            assert f"the proxy {proxy.url} {told}" in found["shop", "tls"].message


def test_a_bucket_takes_the_proxy(tmp_path: Path) -> None:
    """Unless it has one of its own; this machine and the exceptions are reached without it."""
    table = network(tmp_path, "http://proxy.test:3128", 'no_proxy = ["store.test"]')
    bucket = '[storage]\nurl = "s3://exports"\n'
    options = bucket_options(load(write(tmp_path, table + bucket), {}))
    assert options["proxy_url"] == f"http://tide:{PASSWORD}@proxy.test:3128"
    assert str(options["proxy_excludes"]).startswith("localhost,127.0.0.0/8,::1,169.254.0.0/16,")
    assert str(options["proxy_excludes"]).endswith(",store.test")
    own = bucket + '[storage.options]\nproxy_url = "http://own.test"\n'
    assert bucket_options(load(write(tmp_path, table + own), {})) == {"proxy_url": "http://own.test"}
    assert bucket_options(load(write(tmp_path, bucket), {"HTTPS_PROXY": "http://proxy.test"})) == {}


def test_the_environment_is_asked_for(tmp_path: Path) -> None:
    """Its variables count only with "environment", and their password is a secret."""
    environ = {"HTTPS_PROXY": f"http://tide:{PASSWORD}@proxy.test:3128", "NO_PROXY": "inner.test"}
    assert connections_of(load(write(tmp_path, ""), environ)).proxies == Proxies()
    config = load(write(tmp_path, '[network]\nproxy = "environment"\nno_proxy = ["more.test"]'), environ)
    proxies = connections_of(config).proxies
    assert proxies == Proxies(None, Proxy("http://proxy.test:3128", "tide", PASSWORD), ("more.test", "inner.test"))
    assert PASSWORD in config.secrets
    (fault,) = faults_of(load(config.path, {"HTTPS_PROXY": f"ftp://{PASSWORD}@x"}))
    assert fault.key == "network.proxy"
    assert fault.reason.startswith("takes the environment's proxies, but HTTPS_PROXY must be the http or https address")
    assert PASSWORD not in fault.reason


def test_a_bucket_has_no_source_address(tmp_path: Path) -> None:
    """Its library has no such option, so the two are refused together; a folder is none of that."""
    table = '[network]\nsource_address = "127.0.0.1"\n'
    assert faults_of(load(write(tmp_path, table), {})) == ()
    (fault,) = faults_of(load(write(tmp_path, f'{table}[storage]\nurl = "s3://exports"\n'), {}))
    assert fault.key == "network.source_address"
    assert fault.reason.startswith("cannot be used with a bucket")


@pytest.mark.parametrize(
    ("table", "key", "reason"),
    [
        ('proxy = "proxy.test:3128"', "proxy", "must be the http or https address of a proxy"),
        ('proxy = "socks5://proxy.test"', "proxy", "names a SOCKS proxy"),
        ('proxy = "http://me:canary@proxy.test"', "proxy", "carries a user name; give it as proxy_user"),
        ('proxy_user = "me"', "proxy_user", "needs the address of a proxy in proxy"),
        ('proxy = "environment"\nproxy_user = "me"', "proxy_user", "needs the address of a proxy in proxy"),
        ('proxy = "http://p.test"\nproxy_user = "a:b"', "proxy_user", "must have no colon"),
        ('proxy = "http://p.test"\nproxy_password = "canary"', "proxy_password", "needs proxy_user as well"),
        ('no_proxy = ["http://p.test"]', "no_proxy", "'http://p.test' is no host"),
        ("no_proxy = [1]", "no_proxy", "must be an array of hosts"),
        ('source_address = "eth0"', "source_address", "must be an address of this machine"),
    ],
)
def test_faults(tmp_path: Path, table: str, key: str, reason: str) -> None:
    """Each is named with its key, and without the value that may be a secret."""
    fault = faults_of_file(write(tmp_path, f"[network]\n{table}"))[f"network.{key}"]
    assert fault.reason.startswith(reason)
    assert "canary" not in fault.reason
