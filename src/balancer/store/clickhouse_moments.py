"""Moments, as a row of ClickHouse's answer says them: a count, a mean, a variance of the population."""

from balancer.stats.moments import Moments


def of_row(n: object, mean: object, variance: object) -> Moments:
    """Return the moments that a row says; without values, their mean is no number."""
    count = int(str(n))
    if count == 0:
        return Moments.empty()
    return Moments(n=count, mean=float(str(mean)), m2=0.0 if count == 1 else float(str(variance)) * count)
