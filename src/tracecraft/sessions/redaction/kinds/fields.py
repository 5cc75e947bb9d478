"""Values behind a name that says secret, whoever's it is: the last resort, so the value must look like one."""

from __future__ import annotations

from tracecraft.sessions.redaction.rule import field

_OTHER_TOKENS = (
    "(?:page|next|prev|previous|continuation|sync|delta|cancel|cancellation|client|request|idempotency|cursor|resume"
    "|change|eos|bos|pad|unk|sep|cls|mask|stop|start|end|special|first|last)[_-]?"
)
"""Tokens of lists, of requests and of text."""

FIELDS = (
    field("password-field", "password passwd passphrase pwd _pass -pass dbpass", check="password", entropy=2.5),
    field("api-key-field", "api_key apikey api-key", check="key", entropy=2.7),
    field(
        "secret-field",
        "secret secret_key secretkey secret-key secret_access_key secretaccesskey secret_key_base secretkeybase",
        check="key",
        entropy=2.7,
    ),
    field("token-field", "token", check="token", entropy=2.7, unless=_OTHER_TOKENS),
    field(
        "private-key-field",
        "private_key privatekey private-key encryption_key encryptionkey encryption-key signing_key signingkey"
        " signing-key master_key masterkey master-key presharedkey",
        check="key",
        entropy=2.7,
    ),
    field(
        "access-key-field",
        "access_key accesskey access-key account_key accountkey storage_key admin_key adminkey auth_key authkey"
        " auth-key service_key service_role_key application_key",
        check="key",
        entropy=2.7,
    ),
    field("credential-field", "credential credentials", check="token", entropy=2.7),
)
