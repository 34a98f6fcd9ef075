"""How long something lasts, for people."""


def lasting(seconds: float | None) -> str:
    """Return how long something lasts in its largest unit, such as `3 hours`; nothing where nobody knows."""
    if seconds is None:
        return ""
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{max(int(seconds), 0)} s"
