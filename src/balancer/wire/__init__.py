"""The bodies of the admin API: JSON from and to the domain, the one description of both.

Used by `api` to answer and by `client` to read the answers. Times are ISO 8601 in UTC, weights are percentages.
"""
