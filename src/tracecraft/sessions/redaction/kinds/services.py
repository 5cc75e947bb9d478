"""Tokens of where people talk, pay and trade."""

from __future__ import annotations

from tracecraft.sessions.redaction.rule import begun, own

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SLASH = r"\\{0,3}/"
"""JSON may escape it."""

SERVICES = (
    own(
        "slack-token",
        "xoxb- xoxp- xoxa- xoxr- xoxs- xoxc-",
        r"xox[abprsc]-(?:[0-9]-)?(?:[0-9]{9,14}-){1,3}[0-9A-Za-z]{20,64}",
    ),
    own("slack-app-token", "xapp-", r"xapp-[0-9]-[A-Z0-9]{8,14}-[0-9]{10,15}-[0-9a-f]{64}"),
    own("slack-config-token", "xoxe- xoxe.", r"xoxe(?:\.xox[bp])?-[0-9]-[A-Za-z0-9]{100,250}"),
    own("slack-cookie", "xoxd-", r"xoxd-[A-Za-z0-9%+/=]{60,400}"),
    own(
        "slack-webhook",
        "hooks.slack.com",
        rf"hooks\.slack\.com{_SLASH}(?:services|workflows|triggers){_SLASH}"
        rf"(?P<secret>[A-Z0-9]{{8,14}}{_SLASH}[A-Za-z0-9]{{8,24}}{_SLASH}[A-Za-z0-9/]{{20,60}})",
    ),
    own(
        "discord-webhook",
        r"/api/webhooks/ /api\/webhooks\/",
        rf"/api{_SLASH}webhooks{_SLASH}[0-9]{{17,20}}{_SLASH}(?P<secret>[A-Za-z0-9_-]{{60,72}})",
    ),
    own(
        "discord-bot-token",
        "discord",
        r"(?i:discord)[A-Za-z0-9_. \\\"':={(-]{1,60}?"
        r"(?P<secret>[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38})",
        entropy=4.0,
    ),
    own(
        "teams-webhook",
        "webhook.office.com",
        rf"webhook\.office\.com{_SLASH}webhookb2{_SLASH}(?P<secret>{_UUID}@{_UUID}{_SLASH}IncomingWebhook"
        rf"{_SLASH}[0-9a-f]{{32}}{_SLASH}{_UUID})",
    ),
    own(
        "zapier-webhook",
        "hooks.zapier.com",
        rf"hooks\.zapier\.com{_SLASH}hooks{_SLASH}catch{_SLASH}(?P<secret>[0-9]{{5,10}}{_SLASH}[a-z0-9]{{6,9}})",
        entropy=2.0,
    ),
    own("telegram-bot-token", ":aa", r"[0-9]{8}:(?P<secret>AA[A-Za-z0-9_-]{33})", back=8, entropy=3.5),
    own("sendgrid-key", "sg.", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    begun("mailgun-key", "key-", r"key-[0-9a-f]{32}"),
    own("mailchimp-key", "-us1 -us2 -us3 -us4 -us5 -us6 -us7 -us8 -us9", r"[0-9a-f]{32}-us[1-9][0-9]?", back=32),
    own("brevo-key", "xkeysib- xsmtpsib-", r"x(?:key|smtp)sib-[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    own("resend-key", "re_", r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}", entropy=3.5),
    own("onesignal-key", "os_v2_app_ os_v2_org_", r"os_v2_(?:app|org)_[a-z0-9]{90,130}"),
    own("webhook-signing-secret", "whsec_", r"whsec_[A-Za-z0-9+/]{24,64}={0,2}"),
    # Base64 of "tok:" and a UUID.
    own("intercom-token", "dg9ro", r"dG9rO[A-Za-z0-9+/]{54,60}={0,2}", entropy=4.0, edges="blob"),
    own("hubspot-token", "pat-na1- pat-na2- pat-eu1- pat-ap1-", rf"pat-(?:na1|na2|eu1|ap1)-{_UUID}"),
    own("salesforce-token", "00d", r"00D[A-Za-z0-9]{12,15}![A-Za-z0-9_.]{80,120}"),
    own("facebook-access-token", "eaa", r"EAA[B-Za-z][A-Za-z0-9]{80,300}", entropy=4.0, edges="blob"),
    begun("dropbox-short-token", "sl.", r"sl\.(?:u\.)?[A-Za-z0-9_-]{130,1000}", reach=1100),
    own("stripe-secret-key", "sk_live_ sk_test_", r"sk_(?:live|test)_[A-Za-z0-9]{20,250}"),
    own("stripe-restricted-key", "rk_live_ rk_test_", r"rk_(?:live|test)_[A-Za-z0-9]{20,250}"),
    own("square-access-token", "sq0atp- eaaa", r"sq0atp-[A-Za-z0-9_-]{22}|EAAA[A-Za-z0-9_-]{60}", edges="blob"),
    own("square-oauth-secret", "sq0csp-", r"sq0csp-[A-Za-z0-9_-]{43}"),
    own(
        "paypal-braintree-token",
        "access_token$",
        r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}",
    ),
    own("shopify-token", "shpat_ shpca_ shppa_ shpss_ shptka_", r"shp(?:at|ca|pa|ss|tka)_[0-9a-fA-F]{32}"),
    own("flutterwave-key", "flwseck", r"FLWSECK(?:_TEST)?-[0-9a-z]{12,40}(?:-X)?"),
    own("razorpay-key", "rzp_live_ rzp_test_", r"rzp_(?:live|test)_[A-Za-z0-9]{14}"),
    own(
        "plaid-access-token",
        "access-sandbox- access-production- access-development-",
        rf"access-(?:sandbox|development|production)-{_UUID}",
    ),
    own("stytch-secret", "secret-live- secret-test-", r"secret-(?:live|test)-[A-Za-z0-9_-]{36,40}={0,2}", entropy=3.5),
    own("easypost-key", "ezak eztk", r"EZ[AT]K[A-Za-z0-9]{54}", edges="blob"),
    own("shippo-token", "shippo_live_ shippo_test_", r"shippo_(?:live|test)_[0-9a-f]{40}"),
    own("duffel-token", "duffel_live_ duffel_test_", r"duffel_(?:test|live)_[A-Za-z0-9_-]{43}"),
    own("alchemy-token", "alcht_", r"alcht_[A-Za-z0-9]{30}", entropy=3.3),
    own("bitcoin-extended-private-key", "xprv", r"xprv[A-Za-z0-9]{107}", edges="blob"),
)
