"""``[network]``: how the daemon reaches other machines."""

from pydantic import Field

from tidewaiter.config.value_types import ResolvedPath
from tidewaiter.toml_table import TomlTable


class NetworkTable(TomlTable):
    """``[network]``: how connections to providers, hosts of files and receivers of webhooks are made."""

    ca_file: ResolvedPath | None = Field(
        default=None,
        description="path of a file with certificate authorities in PEM form, trusted in addition to the system's",
        examples=["/etc/tidewaiter/tls/company-ca.pem"],
    )
