"""The rule about what the functions say that isolation rests on: a weakened one keeps its name, its owner and its grants."""

from taskapp.isolation.doctor.rule import Rule

# The beginning of SHA-256 of each body, as the migrations make it, the same on every version of PostgreSQL. Tickets and
# sessions that are over cannot be tried by the canary, in whose one transaction no time passes.
BODIES = {
    "app.approve_break_glass(bigint)": "63fb2ff7b936cffb",
    "app.close_ticket(bigint)": "ba7090341965d13b",
    "app.current_user_id()": "2b5b71d7ec3f0bcc",
    "app.enter(uuid,uuid,text,boolean)": "17acce45baeac591",
    "app.enter_login(text,text)": "0cd6e14456ef6aaf",
    "app.enter_nobody(boolean)": "40cb5d57a7e7dfc5",
    "app.enter_proven(uuid,text)": "3594b56447859b05",
    "app.enter_token(uuid,bytea,text,text,boolean)": "309039d1eb37490d",
    "app.glass_is_broken()": "b7ec8d1f0cda139f",
    "app.login_email()": "c0ebf4711cfbfac2",
    "app.open_ticket(text,text,integer)": "53444325719af93d",
    "app.request_break_glass(text,integer)": "92727ed6008c0a0b",
    "app.ticket_subject()": "3cba172bbe59440d",
    "app_private.end_sessions_of(oid)": "63c8a378e3c4304b",
    "app_private.has_begun(xid)": "ad935810a175925c",
    "app_private.is_in(name)": "13115c1a8e811784",
    "app_private.live_ticket(text)": "356414736d8a3d5a",
    "app_private.log_access(text,uuid,text,integer)": "b422c227c73d2213",
    "app_private.seal_briefly(text,text)": "115faace14880566",
    "app_private.seal_holds(text,text)": "d4a4e8814f505f9f",
}
RESTORED = {"app_private.seal_holds(text,text)": "5d1edc9987d97b8a"}
"""What else one may be, where a dump was restored: of `a BETWEEN b AND c AND d` PostgreSQL writes a pair of parentheses that
it does not keep when it reads that again. It is the same condition."""
_VALUES = ", ".join(f"('{signature}', '{digest}')" for signature, digest in BODIES.items())
_RESTORED = ", ".join(f"'{signature} {digest}'" for signature, digest in RESTORED.items())

FUNCTION_BODIES = (
    Rule(
        "L70",
        "the functions that isolation rests on say what the migrations made them say",
        "Everything else asks these: one that forgets to look at an expiry opens what has ended, and no policy tells.",
        "Make it again as its migration does, or start the release that this migration came with; a migration that changes"
        " one writes its digest into taskapp/isolation/doctor/bodies.py.",
        f"WITH expected (signature, digest) AS (VALUES {_VALUES}), found AS ("
        " SELECT signature, left(encode(sha256(convert_to(body, 'UTF8')), 'hex'), 16) AS digest"
        " FROM function, coalesce(pg_get_function_sqlbody(oid), prosrc) AS body"
        " WHERE prosecdef OR signature ~ '^(app_private\\.|app\\.enter)')"
        " SELECT format('%s is %s', signature, coalesce(found.digest, 'gone'))"
        " FROM expected FULL JOIN found USING (signature) WHERE found.digest IS DISTINCT FROM expected.digest"
        f" AND format('%s %s', signature, found.digest) <> ALL (ARRAY[{_RESTORED}])",
    ),
)
