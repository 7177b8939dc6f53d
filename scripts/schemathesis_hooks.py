"""What JSON schemas can't say of our requests: see schemathesis.toml."""

import schemathesis


def whole(value):
    """JSON schema takes 1.0 for an integer. We refuse a count with a fraction, even an empty one: it is more often a mistake."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return value


@schemathesis.hook
def map_body(context, body):
    return whole(body)
