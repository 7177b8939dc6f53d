"""Rules for requests that JSON schemas can't express: see schemathesis.toml."""

import schemathesis


def whole(value):
    """JSON schema accepts 1.0 as an integer. We refuse it, because a count with a fraction is usually a mistake."""
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
