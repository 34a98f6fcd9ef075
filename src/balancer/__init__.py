"""Balancer: continuous deployment with split testing, in front of HAProxy."""

__version__ = "0.1.0"
