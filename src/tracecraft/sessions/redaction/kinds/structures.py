"""Secrets whose surroundings tell what they are: PEM blocks, JWTs, URLs with passwords, headers, files of credentials.

Where a class of characters leaves out `[` and `]`, that is so that nothing reaches over what was redacted before.
"""

from __future__ import annotations

from tracecraft.sessions.redaction.rule import QUOTE, SEPARATOR, own

_PEM_NAME = r"(?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?|OpenVPN Static key V1"
_PEM_BEGIN = rf"-----BEGIN (?:{_PEM_NAME})-----"
_PEM_END = rf"-----END (?:{_PEM_NAME})-----"
_IN_A_STRING = r"(?:[^\"\\-]|\\[\s\S]|-(?:[^\"\\-]|\\[\s\S]))"
"""Escapes are taken whole, so that the quote that ends a string is never taken for one within. No two dashes."""
_LINE_NUMBER = r"[0-9]{1,6}(?:\xe2\x86\x92|\t|\\{1,7}t|[|:])"
_BETWEEN_LINES = rf"(?:\\{{1,7}}[nrt]|\s|{_LINE_NUMBER}|[>|+,]|\\(?:\\\\){{0,3}}[\"']|')"
_SPACE = r"(?:\s|\\{1,7}[nrt])"

PEM_REACH = 64 * 1024

STRUCTURES = (
    # Whole, or as far as it goes where somebody cut it off.
    own(
        "private-key",
        ("-----begin ",),
        rf"{_PEM_BEGIN}(?:{_IN_A_STRING}*?{_PEM_END}|(?:{_BETWEEN_LINES}{{1,40}}[A-Za-z0-9+/=]{{16,}})+)",
        reach=PEM_REACH,
        entropy=0.0,
        edges="none",
        check="pem",
        lines=True,
    ),
    own(
        "putty-private-key",
        "private-lines:",
        r"Private-Lines: [0-9]{1,3}(?P<secret>(?:(?:\\{1,7}[nr]|\s){1,4}[A-Za-z0-9+/=]{16,64})+)",
        reach=16384,
        edges="none",
        lines=True,
    ),
    own("jwt", "eyj", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}", reach=16384, check="jwt"),
    own(
        "jwe",
        "eyj",
        r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{10,100}\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{16,100}",
        reach=16384,
        check="jwt",
    ),
    own(
        "password-in-url",
        "://",
        r"://[^\s:/?#@\"'\\<>{}$\[\]`|,;()*]{0,80}:(?P<secret>[^\s:/?#@\"'\\<>{}$\[\]`]{3,200})@[A-Za-z0-9.\[%_-]",
        entropy=0.0,
        edges="none",
        check="url_password",
    ),
    own(
        "bearer-token",
        "bearer",
        r"(?i:bearer)(?: |%20|\+){1,4}(?P<secret>[A-Za-z0-9._~+/-]{20,}={0,3})",
        reach=8192,
        check="random",
    ),
    own(
        "basic-credentials",
        "basic",
        r"(?i:basic) {1,4}(?P<secret>[A-Za-z0-9+/]{11,1000}={0,2})",
        reach=1100,
        entropy=0.0,
        check="basic",
    ),
    own(
        "authorization-header",
        "authorization",
        rf"(?i:authorization){SEPARATOR}(?:(?i:token|apikey|api-key|key|bot|session|digest|splunk|genie_?key|ghost|hmac|sso-key)"
        r"[ :=]{1,3})?(?P<secret>[A-Za-z0-9._~+/:-]{20,900}={0,3})",
        reach=1200,
        check="random",
    ),
    own(
        "curl-password",
        ("curl ",),
        r"curl [^\n|;\"'\\\[\]]{0,200}?(?:-u|--user|--proxy-user)[ =]?(?:\\{0,7}[\"'])?[A-Za-z0-9._%+@-]{1,100}:"
        r"(?P<secret>[^\s\"'\\$<>{}\[\]`:]{6,200})",
        reach=600,
        entropy=0.0,
        check="password",
    ),
    own(
        "sshpass-password",
        "sshpass",
        rf"sshpass {{1,4}}-p {{0,4}}(?:{QUOTE})?(?P<secret>[^\s\"'\\$<>{{}}\[\]`]{{6,200}})",
        entropy=0.0,
        check="password",
    ),
    own(
        "sql-password",
        ("identified by", "with password", "encrypted password"),
        r"(?i:identified by|with password|encrypted password) {1,4}\\{0,7}'(?P<secret>[^\s\"'\\\[\]]{6,200})\\{0,7}'",
        entropy=0.0,
        edges="none",
        check="password",
    ),
    own(
        "netrc-password",
        ("machine ", "machine\\"),
        rf"machine{_SPACE}{{1,8}}[A-Za-z0-9._:-]{{1,200}}{_SPACE}{{1,8}}login{_SPACE}{{1,8}}[A-Za-z0-9._@+-]{{1,200}}"
        rf"{_SPACE}{{1,8}}password{_SPACE}{{1,8}}(?P<secret>[^\s\"'\\\[\]]{{4,200}})",
        reach=1000,
        entropy=0.0,
        check="url_password",
        lines=True,
    ),
    own(
        "kubernetes-client-key",
        "client-key-data",
        rf"client-key-data{SEPARATOR}(?P<secret>[A-Za-z0-9+/]{{100,}}={{0,2}})",
        reach=16384,
    ),
    own(
        "docker-config-auth",
        'auth" auth\\',
        rf"auth{SEPARATOR}(?P<secret>[A-Za-z0-9+/]{{11,1000}}={{0,2}})",
        reach=1200,
        entropy=0.0,
        check="basic",
    ),
    own(
        "npm-auth",
        "_auth=",
        r"_auth=(?:\\{0,7}\")?(?P<secret>[A-Za-z0-9+/]{11,1000}={0,2})",
        reach=1200,
        entropy=0.0,
        check="basic",
    ),
    own("laravel-app-key", "app_key=base64:", r"(?i:app_key=base64:)(?P<secret>[A-Za-z0-9+/]{43}=)"),
    own("django-secret-key", "django-insecure-", r"django-insecure-(?P<secret>[^\s\"'\\]{50})"),
    own("otp-secret", "otpauth://", r"otpauth://[a-z]{4}/[^\s\"'\\\[\]]{1,200}?secret=(?P<secret>[A-Z2-7]{16,64})"),
    own(
        "express-session-cookie",
        "connect.sid=",
        r"connect\.sid=(?P<secret>s(?:%3A|:)[A-Za-z0-9_-]{20,64}\.[A-Za-z0-9%+/]{30,80})",
    ),
    own("bcrypt-hash", "$2a$ $2b$ $2y$", r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}"),
    own(
        "crypt-hash",
        "$5$ $6$ $y$",
        r"\$(?:5|6|y)\$(?:rounds=[0-9]{1,9}\$|[./A-Za-z0-9]{1,8}\$)?[./A-Za-z0-9]{1,32}\$[./A-Za-z0-9]{43,86}",
    ),
    own(
        "argon2-hash",
        "$argon2",
        r"\$argon2(?:id|i|d)\$v=[0-9]{1,3}\$m=[0-9]{1,8},t=[0-9]{1,4},p=[0-9]{1,4}\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{22,128}",
    ),
    own(
        "seed-phrase",
        "mnemonic seed_phrase seedphrase recovery_phrase",
        rf"(?i:mnemonic|seed_?phrase|recovery_phrase){SEPARATOR}"
        r"(?P<secret>(?:[a-z]{3,8} ){11,23}[a-z]{3,8})[\"'\\,.;)\s]",
    ),
)
