"""The rule about what the functions say that isolation rests on: a weakened one keeps its name, its owner and its grants."""

from taskapp.isolation.doctor.model import Rule

# The beginning of SHA-256 of each body, as the migrations make it, the same on every version of PostgreSQL. Tickets and
# sessions that are over cannot be tried by the canary, in whose one transaction no time passes.
BODIES = {
    "app.approve_break_glass(bigint)": "63fb2ff7b936cffb",
    "app.break_glass_is_open()": "09eb11b8787161c6",
    "app.close_ticket(bigint)": "6aa9a5147ca2cd95",
    "app.current_user_id()": "3ff1415f58ad3c10",
    "app.enter_anonymous(boolean)": "8b380da9c49cd90b",
    "app.enter_login(text,text)": "d391a92ab9c03764",
    "app.enter_password_verified(uuid,text)": "fcfc64c514c1ffb0",
    "app.enter_session(uuid,uuid,text,boolean)": "2f9989c656c100d2",
    "app.enter_token(uuid,bytea,text,text,boolean)": "9fafc368557cf675",
    "app.login_email()": "b214b4e190dc4511",
    "app.open_ticket(text,text,integer)": "c162647e1336d36e",
    "app.request_break_glass(text,integer)": "c78daa635fc9685c",
    "app.ticket_subject()": "8f0a03c8efd43681",
    "app_private.acting_role()": "519d4d99b15959b1",
    "app_private.insert_access_log(text,uuid,text,integer)": "82e3376b23908216",
    "app_private.is_in(name)": "13115c1a8e811784",
    "app_private.require_open_ticket(text)": "1d7aa218394d1ae1",
    "app_private.seal_with_key_of(text,text)": "a477d84ea6d43378",
    "app_private.terminate_backends_of(oid)": "57d29eb806aff6b0",
    "app_private.verify_seal(text,text)": "cd85144352c49cbf",
    "app_private.xmax_not_aborted(xid)": "b20339308b6b34f4",
}
_VALUES = ", ".join(f"('{signature}', '{digest}')" for signature, digest in BODIES.items())

FUNCTION_BODIES = (
    Rule(
        "L70",
        "the functions that isolation rests on say what the migrations made them say",
        "Everything else asks these: one that forgets to look at an expiry opens what has ended, and no policy tells.",
        "Make it again as its migration does, or start the release that this migration came with; a migration that changes"
        " one writes its digest into taskapp/isolation/doctor/rules/function_bodies.py.",
        f"WITH expected (signature, digest) AS (VALUES {_VALUES}), found AS ("
        " SELECT signature, left(encode(sha256(convert_to(body, 'UTF8')), 'hex'), 16) AS digest"
        " FROM function, coalesce(pg_get_function_sqlbody(oid), prosrc) AS body"
        " WHERE prosecdef OR signature ~ '^(app_private\\.|app\\.enter)')"
        " SELECT format('%s is %s', signature, coalesce(found.digest, 'gone'))"
        " FROM expected FULL JOIN found USING (signature) WHERE found.digest IS DISTINCT FROM expected.digest",
    ),
)
