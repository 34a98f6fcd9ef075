"""Typed calls of the admin API, for the commands and for anyone who scripts in Python.

Every call raises the BalancerError that the API answered with, or DaemonUnreachable.
"""

from balancer.client.apps import AppCalls
from balancer.client.deploys import DeployCalls
from balancer.client.events import EventCalls, Export
from balancer.client.platform import PlatformCalls
from balancer.client.rollouts import RolloutCalls
from balancer.client.runs import RunCalls
from balancer.client.splits import SplitCalls

__all__ = ["Client", "Export"]


class Client(PlatformCalls, AppCalls, DeployCalls, EventCalls, SplitCalls, RolloutCalls, RunCalls):
    """What can be asked of one daemon."""
