"""Views: what services answer, as pages show it.

Invariants:
    * Pure: from reports, looks and decisions to text; nothing is asked and nothing decided here.
    * A chart and the table beside it are made of the same figures, and these are those of `balancer stats --json`.

Used by the pages of the dashboard.
"""
