"""The embedded MQTT 3.1.1 broker, for simulation, tests and a household on one machine.

Its access policy is written out for Mosquitto as well, which serves where more than a household is to be served.
"""

from broker.mqtt.access import AccessPolicy, Role, User
from broker.mqtt.errors import BrokerError, MqttError, PolicyError
from broker.mqtt.limits import Limits
from broker.mqtt.mosquitto import MosquittoTls, write_mosquitto
from broker.mqtt.passwords import hash_password
from broker.mqtt.policyfile import policy_from_toml
from broker.mqtt.server import Broker

__all__ = [
    "AccessPolicy",
    "Broker",
    "BrokerError",
    "Limits",
    "MosquittoTls",
    "MqttError",
    "PolicyError",
    "Role",
    "User",
    "hash_password",
    "policy_from_toml",
    "write_mosquitto",
]
