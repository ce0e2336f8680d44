"""A real Chromium for tests: the one on PATH, or Debian's, installed where this process may."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
INSTALL_S: Final = 900
"""How long an installation may take, in seconds; a test that waits for a browser may take as long."""

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_ADVICE: Final = "the status page is tested in a real browser: install Chromium (Debian: apt-get install chromium)"


class NoBrowserError(Exception):
    """There is no Chromium and none can be installed; the message says what to do."""


def chromium_path() -> str:
    """Where Chromium is; it is installed first where there is none.

    Several test processes begin at once, so the installation is done under a lock, and the others find it done.

    Raises:
        NoBrowserError: it is not there, and this process may not install it or could not.
    """
    if found := _on_path():
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoBrowserError(_ADVICE)
    with (Path(tempfile.gettempdir()) / "tidewaiter-chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _on_path() or _installed()


def _on_path() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)


def _installed() -> str:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "-qq"], ["install", "-qq", "--no-install-recommends", "chromium"]):
        command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=INSTALL_S)
        if done.returncode:
            message = (done.stderr.strip().splitlines() or ["it does not say why"])[-1]
            raise NoBrowserError(f"{_ADVICE}; {' '.join(command)} failed: {message}")
    found = _on_path()
    if found is None:
        raise NoBrowserError(_ADVICE)
    return found
