"""Ways to prove to a DICOMweb archive who we are; this module only says which, and reads no secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field, StrictStr, model_validator

from pacsferry import hookimpl
from pacsferry.core.ports import Authenticator, Offer
from pacsferry.core.secretrefs import SecretRef
from pacsferry.core.strict import Proxy, Shape, Strict
from pacsferry.core.units import Duration

TokenUrl = Annotated[str, Shape(r"https?://[^\s@#]+", "write https://, host and path; no user and no password", 2000)]
Named = Annotated[str, Shape(r"[^\x00-\x1f\x7f]+", "write a name, or a reference to one: env:NAME, file:PATH …", 1000)]
File = Annotated[str, Field(min_length=1)]


class BasicSettings(Strict):
    """HTTP Basic authentication (RFC 7617)."""

    username: Named = Field(description="the user's name, or a reference to it")
    password: SecretRef = Field(description="a reference to the password")


class BearerSettings(Strict):
    """A token that somebody else takes care of (RFC 6750). It is read again when the archive refuses it."""

    token: SecretRef = Field(description="a reference to the token")


class Oauth2ClientSettings(Strict):
    """OAuth 2.0 with client credentials (RFC 6749 4.4)."""

    token_url: TokenUrl = Field(description="the token endpoint; https, unless it is on this host")
    client_id: Named = Field(description="the client's id, or a reference to it")
    client_secret: SecretRef = Field(description="a reference to the client's secret")
    scope: StrictStr = Field(default="", description="scopes, separated by blanks")
    audience: StrictStr = Field(default="", description="for whom the token is, where the endpoint wants to know")
    params: Mapping[StrictStr, StrictStr] = Field(
        default={}, description="further parameters of the token request, such as resource; no secrets"
    )
    client_auth: Literal["client_secret_basic", "client_secret_post"] = Field(
        default="client_secret_basic", description="how the secret is sent: in a header field, or in the body"
    )
    leeway: Annotated[Duration, Field(ge=0, le=3600)] = Field(
        default=30.0, description="a token is renewed so long before it expires"
    )
    lifetime: Annotated[Duration, Field(gt=0, le=86400)] = Field(
        default=300.0, description="of a token that does not say when it expires"
    )
    ca: File | None = Field(
        default=None, description="PEM file of the authorities to trust at the token endpoint; default: the system's"
    )
    proxy: Proxy | None = Field(
        default=None, description='a proxy to the token endpoint; default: archive.dicomweb.proxy, "" for none'
    )

    @model_validator(mode="after")
    def _own_parameters(self) -> Oauth2ClientSettings:
        if taken := sorted(self.params.keys() & OWN_PARAMETERS):
            msg = f"params: {', '.join(taken)} cannot be set here"
            raise ValueError(msg)
        return self


#: What the token request says by itself, or has a setting for.
OWN_PARAMETERS = frozenset({"grant_type", "client_id", "client_secret", "scope", "audience"})


class MtlsSettings(Strict):
    """A client certificate in the TLS handshake."""

    cert: File = Field(description="PEM file with our certificate, and those between it and the authority")
    key: File | None = Field(default=None, description="PEM file with its private key; default: the same file")
    key_password: SecretRef | None = Field(
        default=None, description="a reference to the password of the private key, where it has one"
    )
    ca: File | None = Field(
        default=None, description="PEM file of the authorities to trust; default: archive.dicomweb.ca"
    )


class NoAuthSettings(Strict):
    """There is nothing to set."""


@hookimpl
def pacsferry_web_auths() -> Iterable[Offer[Authenticator]]:
    """Offer ``none``, ``basic``, ``bearer``, ``oauth2-client`` and ``mtls``."""
    here = "pacsferry.plugins.webauths"
    return [
        Offer(
            name="none",
            summary="says nothing of who we are",
            build=f"{here}.plain:Nobody",
            settings=NoAuthSettings,
        ),
        Offer(
            name="basic",
            summary="user name and password with each request (HTTP Basic)",
            build=f"{here}.plain:Basic",
            settings=BasicSettings,
        ),
        Offer(
            name="bearer",
            summary="a token from elsewhere with each request",
            build=f"{here}.plain:Bearer",
            settings=BearerSettings,
        ),
        Offer(
            name="oauth2-client",
            summary="OAuth 2.0 client credentials: a token from a token endpoint, renewed in time",
            build=f"{here}.oauth2:ClientCredentials",
            settings=Oauth2ClientSettings,
        ),
        Offer(
            name="mtls",
            summary="a client certificate in the TLS handshake",
            build=f"{here}.mtls:ClientCertificate",
            settings=MtlsSettings,
        ),
    ]
