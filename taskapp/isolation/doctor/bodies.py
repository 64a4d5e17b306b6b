"""The rule about what the functions say that isolation rests on: a weakened one keeps its name, its owner and its grants."""

from taskapp.isolation.doctor.rule import Rule

# The beginning of SHA-256 of each body, as the migrations make it, the same on every version of PostgreSQL. Tickets and
# sessions that are over cannot be tried by the canary, in whose one transaction no time passes.
BODIES = {
    "app.approve_break_glass(bigint)": "63fb2ff7b936cffb",
    "app.close_ticket(bigint)": "ba7090341965d13b",
    "app.current_user_id()": "60346b1e761ac03c",
    "app.enter(uuid,uuid,text,boolean)": "3fa68420309d3aa1",
    "app.enter_login(text,text)": "d391a92ab9c03764",
    "app.enter_nobody(boolean)": "8b380da9c49cd90b",
    "app.enter_proven(uuid,text)": "652ceeef8ab62058",
    "app.enter_token(uuid,bytea,text,text,boolean)": "07d0e88866739f14",
    "app.glass_is_broken()": "b7ec8d1f0cda139f",
    "app.login_email()": "738c6fd1356b09a0",
    "app.open_ticket(text,text,integer)": "53444325719af93d",
    "app.request_break_glass(text,integer)": "92727ed6008c0a0b",
    "app.ticket_subject()": "3cba172bbe59440d",
    "app_private.acting_role()": "519d4d99b15959b1",
    "app_private.end_sessions_of(oid)": "63c8a378e3c4304b",
    "app_private.has_begun(xid)": "ad935810a175925c",
    "app_private.is_in(name)": "13115c1a8e811784",
    "app_private.live_ticket(text)": "356414736d8a3d5a",
    "app_private.log_access(text,uuid,text,integer)": "b422c227c73d2213",
    "app_private.seal_alike(text,text)": "a477d84ea6d43378",
    "app_private.seal_holds(text,text)": "cd85144352c49cbf",
}
_VALUES = ", ".join(f"('{signature}', '{digest}')" for signature, digest in BODIES.items())

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
        " FROM expected FULL JOIN found USING (signature) WHERE found.digest IS DISTINCT FROM expected.digest",
    ),
)
