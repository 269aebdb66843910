"""The handler's second argument."""

from json import loads
from time import time


class LambdaContext:
    """What a handler may know about its invocation."""

    def __init__(self, settings, about, log):
        self.aws_request_id = about.get("requestId", "")
        self.log_group_name = settings.log_group_name
        self.log_stream_name = settings.log_stream_name
        self.function_name = settings.function_name
        self.memory_limit_in_mb = settings.memory_limit_in_mb
        self.function_version = settings.function_version
        self.invoked_function_arn = about.get("arn", "")
        self.tenant_id = about.get("tenantId")
        client, identity = about.get("clientContext"), about.get("identity")
        self.client_context = _client_context(client) if client else None
        self.identity = CognitoIdentity(_json(identity) if identity else _NOTHING)
        self._deadline = int(about.get("deadlineMs", 0))
        self._log = log

    def get_remaining_time_in_millis(self, _now=time):
        """Milliseconds until the invocation times out; never negative."""
        return max(self._deadline - int(_now() * 1000), 0)

    def log(self, message):
        """Write a message to the log as it is."""
        self._log(str(message))

    def __repr__(self):
        return _show(self)


_NOTHING = {}


class _Record:
    """Attributes by name, from the members of a JSON object."""

    _names = ()

    def __init__(self, members):
        for name in self._names:
            setattr(self, name, members.get(name))

    def __repr__(self):
        return _show(self)


class CognitoIdentity(_Record):
    """The Amazon Cognito identity that the invocation was authorised with."""

    def __init__(self, members):
        self.cognito_identity_id = members.get("cognitoIdentityId")
        self.cognito_identity_pool_id = members.get("cognitoIdentityPoolId")


class Client(_Record):
    """The mobile application that invoked the function."""

    _names = "installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"


class ClientContext(_Record):
    """What a mobile application tells about itself."""

    _names = "custom", "env", "client"

    def __init__(self, members):
        super().__init__(members)
        if isinstance(self.client, dict):
            self.client = Client(self.client)


def _client_context(text):
    members = _json(text)
    return ClientContext(members) if members else None


def _json(text):
    members = loads(text)
    return members if isinstance(members, dict) else {}


def _show(thing):
    shown = ("%s=%r" % item for item in vars(thing).items() if item[0][0] != "_")
    return "%s([%s])" % (type(thing).__name__, ",".join(shown))
