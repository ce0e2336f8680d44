"""How outgoing connections are made, from the configuration's ``[network]``."""

from tidewaiter.config import Config
from tidewaiter.config.origins import ConfigFault
from tidewaiter.transport.outgoing import Outgoing
from tidewaiter.transport.trust import Trust, TrustError


def outgoing_of(config: Config) -> Outgoing:
    """What the wire needs; reads the file of authorities.

    Raises:
        TrustError: that file cannot be used.
    """
    return Outgoing(Trust.of(config.network.ca_file))


def faults_of_network(config: Config) -> tuple[ConfigFault, ...]:
    """What is wrong with ``[network]`` that only this machine can tell."""
    try:
        outgoing_of(config)
    except TrustError as error:
        return (config.fault_at("network", "ca_file", reason=str(error)),)
    return ()
