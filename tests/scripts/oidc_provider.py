#!/usr/bin/env python3
"""An OpenID Connect provider for tests: Django's OAuth Toolkit on a port of its own choosing.

    oidc_provider.py

Prints "port N" when it listens, and ends with its standard input. The issuer is http://127.0.0.1:N/o, with
the confidential client "panel" (secret "panel-secret"), PKCE required and codes good once. Beside it,
/user and /user/emails answer in the manner of GitHub.

    POST /tests/redirect   {"uri": …}: where browsers are sent back to
    POST /tests/person     {"username", "email", "email_verified", "name"}: somebody who has an account here
    POST /tests/key        a new signing key; the old one is not shown any more

Whoever asks with "X-Person: NAME" is signed in as that person, and agrees to everything.
"""

import json
import os
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.urls import include, path
from django.utils import timezone


def new_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(*kinds, serialization.NoEncryption()).decode()


# Who uses the browser that says nothing of that.
browser = {}


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class Person:
    """Signs in whoever is named."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        from django.contrib.auth.models import AnonymousUser, User

        name = request.headers.get("X-Person") or browser.get("username")
        request.user = User.objects.filter(username=name).first() or AnonymousUser()
        return self.get_response(request)


settings.configure(
    SECRET_KEY="tests", ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    MIDDLEWARE=[f"{__name__}.Person"],
    OAUTH2_PROVIDER={
        "OIDC_ENABLED": True, "OIDC_RSA_PRIVATE_KEY": new_key(), "PKCE_REQUIRED": True,
        "OAUTH2_VALIDATOR_CLASS": f"{__name__}.validator",
        "SCOPES": {name: name for name in
                   ("openid", "email", "profile", "read:user", "user:email")},
        "ALLOWED_REDIRECT_URI_SCHEMES": ["http", "https"],
    },
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from oauth2_provider.models import get_application_model  # noqa: E402
from oauth2_provider.oauth2_validators import OAuth2Validator  # noqa: E402
from oauth2_provider.settings import oauth2_settings  # noqa: E402
from oauth2_provider.views import ConnectDiscoveryInfoView  # noqa: E402
from oauth2_provider.decorators import protected_resource  # noqa: E402

people = {}


class validator(OAuth2Validator):
    oidc_claim_scope = None

    def get_additional_claims(self, request):
        about = people[request.user.username]
        claims = {"preferred_username": request.user.username}
        return claims | {key: about[key] for key in ("email", "email_verified", "name")
                         if about.get(key) is not None}


def taught(view):
    def told(request):
        return view(json.loads(request.body or "null")) or HttpResponse(status=204)
    return told


def redirect_to(wanted):
    get_application_model().objects.update(redirect_uris=wanted["uri"])


def person(wanted):
    people[wanted["username"]] = wanted
    User.objects.get_or_create(username=wanted["username"], defaults={"last_login": timezone.now()})


def whose_browser(wanted):
    browser.update(wanted)


def key(_):
    oauth2_settings.OIDC_RSA_PRIVATE_KEY = new_key()


@protected_resource()
def user(request):
    about = people[request.resource_owner.username]
    return JsonResponse({"id": request.resource_owner.id, "login": request.resource_owner.username,
                         "name": about.get("name"), "email": None})


@protected_resource(scopes=["user:email"])
def emails(request):
    about = people[request.resource_owner.username]
    mine = [{"email": about["email"], "primary": True, "verified": bool(about.get("email_verified"))}]
    return JsonResponse(mine if about.get("email") else [], safe=False)


urlpatterns = [
    path("o/.well-known/openid-configuration", ConnectDiscoveryInfoView.as_view()),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("user", user), path("user/emails", emails),
    path("tests/redirect", taught(redirect_to)), path("tests/person", taught(person)),
    path("tests/key", taught(key)), path("tests/browser", taught(whose_browser)),
]


def main():
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    get_application_model().objects.create(
        name="panel", client_id="panel", client_secret="panel-secret", client_type="confidential",
        authorization_grant_type="authorization-code", skip_authorization=True, algorithm="RS256",
        redirect_uris="")
    server = make_server("127.0.0.1", 0, WSGIHandler(), WSGIServer, Quiet)
    print("port", server.server_port, flush=True)

    def end():
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
