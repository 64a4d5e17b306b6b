"""DBA access: a ticket opens one user's rows, break-glass all rows with a second person's approval; both are logged.

The login of a database administrator reads no user's rows by itself. `app.open_ticket()` writes an entry of
`app.access_log`; once that is committed, `SET app.ticket` and `SET ROLE taskapp_dba` show the rows of that user. Break-glass
shows the rows of all users to `taskapp_breakglass`, after another member has approved it. Auditors see the log, and metadata
of all rows. The policies of each table stand with the table; they call `app.ticket_subject()` and
`app.break_glass_is_open()`.

Revision ID: 0102
"""

from alembic import op

revision = "0102"
down_revision = "0101"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(r"""
    CREATE TABLE app.access_log (
        id          bigint GENERATED ALWAYS AS IDENTITY,
        kind        text NOT NULL CHECK (kind IN ('ticket', 'break-glass')),
        person      text NOT NULL DEFAULT session_user,
        login       oid NOT NULL,
        subject     uuid,
        reason      text NOT NULL CHECK (
                        char_length(btrim(reason)) BETWEEN 5 AND 500 AND reason !~ '[\u0001-\u001f\u007f-\u009f]'),
        minutes     smallint NOT NULL CHECK (minutes BETWEEN 1 AND 480),
        opened_at   timestamptz(3) DEFAULT clock_timestamp() NOT NULL,
        opened_xid   xid8 DEFAULT pg_current_xact_id() NOT NULL,
        approved_by text,
        approved_at timestamptz(3),
        expires_at  timestamptz(3),
        closed_at   timestamptz(3),
        closed_by   text,
        CONSTRAINT access_log_pkey PRIMARY KEY (id),
        CONSTRAINT access_log_subject_check CHECK ((kind = 'ticket') = (subject IS NOT NULL)),
        CONSTRAINT access_log_expires_at_check CHECK (
                            (kind = 'ticket' OR approved_at IS NOT NULL) = (expires_at IS NOT NULL)),
        CONSTRAINT access_log_approved_by_check CHECK (
                            approved_by IS NULL OR (approved_by <> person AND kind = 'break-glass')),
        CONSTRAINT access_log_approved_at_check CHECK ((approved_by IS NULL) = (approved_at IS NULL)),
        CONSTRAINT access_log_closed_at_check CHECK ((closed_by IS NULL) = (closed_at IS NULL))
    );
    CREATE INDEX access_log_subject_idx ON app.access_log (subject, opened_at);
    ALTER TABLE app.access_log ALTER reason SET STATISTICS 0;
    COMMENT ON TABLE app.access_log IS
        'Who may look, or might have looked, at whose rows, from when to when, and why. Nobody changes or deletes an entry.';
    COMMENT ON COLUMN app.access_log.id IS 'Number of the ticket. A number that is missing is one that was rolled back.';
    COMMENT ON COLUMN app.access_log.kind IS 'ticket: one user''s rows. break-glass: everybody''s, with a second person.';
    COMMENT ON COLUMN app.access_log.person IS 'Login of the person, as the session began.';
    COMMENT ON COLUMN app.access_log.login IS 'Its OID: a login that is made again under the same name is somebody else.';
    COMMENT ON COLUMN app.access_log.subject IS 'The user whose rows it opens, who may be gone by now, or NULL for all.';
    COMMENT ON COLUMN app.access_log.reason IS 'What the person gave as the reason, in one line of 5 to 500 characters.';
    COMMENT ON COLUMN app.access_log.minutes IS 'How long it was asked for.';
    COMMENT ON COLUMN app.access_log.opened_at IS 'When it was opened, or break-glass asked for.';
    COMMENT ON COLUMN app.access_log.opened_xid IS 'Transaction that opened it; before its COMMIT the ticket opens nothing.';
    COMMENT ON COLUMN app.access_log.approved_by IS 'Login of the second person, or NULL.';
    COMMENT ON COLUMN app.access_log.approved_at IS 'When the second person agreed, or NULL.';
    COMMENT ON COLUMN app.access_log.expires_at IS 'From then on it opens nothing; NULL until break-glass is approved.';
    COMMENT ON COLUMN app.access_log.closed_at IS 'When it was ended before its time, or NULL.';
    COMMENT ON COLUMN app.access_log.closed_by IS 'Who ended it, or NULL.';

    ALTER TABLE app.access_log ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.access_log FORCE ROW LEVEL SECURITY;
    -- The functions below write it, as taskapp_definer. No grant and no policy lets a role delete an entry.
    CREATE POLICY access_log_definer_select ON app.access_log FOR SELECT TO taskapp_definer USING (true);
    CREATE POLICY access_log_definer_insert ON app.access_log FOR INSERT TO taskapp_definer
        WITH CHECK (person = session_user AND approved_by IS NULL AND closed_by IS NULL);
    -- An entry that is closed does not change any more.
    CREATE POLICY access_log_definer_update ON app.access_log FOR UPDATE TO taskapp_definer
        USING (closed_at IS NULL) WITH CHECK (session_user IN (approved_by, closed_by));
    GRANT SELECT, INSERT (kind, login, subject, reason, minutes, expires_at),
          UPDATE (approved_by, approved_at, expires_at, closed_at, closed_by)
        ON app.access_log TO taskapp_definer;
    -- DBAs see the tickets that they opened, possible approvers every break-glass, auditors all entries.
    CREATE POLICY access_log_dba_select ON app.access_log FOR SELECT TO taskapp_dba USING (person = session_user);
    CREATE POLICY access_log_breakglass_select ON app.access_log FOR SELECT TO taskapp_breakglass
        USING (kind = 'break-glass');
    CREATE POLICY access_log_auditor_select ON app.access_log FOR SELECT TO taskapp_auditor USING (true);
    GRANT SELECT ON app.access_log TO taskapp_dba, taskapp_breakglass, taskapp_auditor;
    """)

    op.execute("""
    SET LOCAL ROLE taskapp_definer;
    GRANT CREATE, USAGE ON SCHEMA app_private TO taskapp_warden;

    -- The warden is a member of every DBA's login and of no other role: so it may end their sessions, and no others.
    SET LOCAL ROLE taskapp_warden;
    CREATE FUNCTION app_private.terminate_backends_of(login oid) RETURNS integer
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))::integer FROM pg_stat_activity
        WHERE usesysid = login AND pid <> pg_backend_pid();
    END;
    COMMENT ON FUNCTION app_private.terminate_backends_of IS
        'End a person''s sessions, but for the one that asks; say how many.';
    REVOKE ALL ON FUNCTION app_private.terminate_backends_of FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION app_private.terminate_backends_of TO taskapp_definer;

    SET LOCAL ROLE taskapp_definer;
    REVOKE ALL ON SCHEMA app_private FROM taskapp_warden;
    """)

    op.execute(r"""
    SET LOCAL ROLE taskapp_owner;
    GRANT CREATE ON SCHEMA app TO taskapp_definer;

    SET LOCAL ROLE taskapp_definer;
    -- A login counts as a member of a group by a membership of its own: not through another login that it is a member of,
    -- and not because its session took the role before the membership ended.
    CREATE FUNCTION app_private.is_in(wanted name) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        -- The first by itself knows no snapshot: it sees at once that a membership has ended.
        SELECT pg_has_role(session_user, wanted, 'MEMBER') AND EXISTS (
            SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles p ON p.oid = m.member
            WHERE g.rolname = wanted AND p.rolname = session_user
        ) AND EXISTS (
            SELECT FROM pg_auth_members m JOIN pg_roles p ON p.oid = m.roleid JOIN pg_roles w ON w.oid = m.member
            WHERE w.rolname = 'taskapp_warden' AND p.rolname = session_user
        );
    END;
    COMMENT ON FUNCTION app_private.is_in IS 'Whether whoever is logged in is a person, and as such a member of this group.';

    -- A row that another transaction is changing, or has changed since this snapshot, still looks as before, but its xmax is
    -- the number of that transaction. That lacks the upper 32 bits: the nearest full number to the present one is meant.
    CREATE FUNCTION app_private.xmax_not_aborted(change xid) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT change::text <> '0' AND pg_xact_status((
            today + (change::text::bigint - today % 4294967296 + 6442450944) % 4294967296 - 2147483648
        )::text::xid8) <> 'aborted'
        FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS today) AS now;
    END;
    COMMENT ON FUNCTION app_private.xmax_not_aborted IS
        'Whether the change of a row that left this xmax was not taken back.';

    -- SQLSTATE TA005: a DBA's request is refused, and the message says why. A ticket that opens nothing raises an error:
    -- zero rows could be taken for the truth. Without any ticket there are zero rows.
    CREATE FUNCTION app_private.require_open_ticket(wanted text) RETURNS app.access_log
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
    DECLARE
        asked text := current_setting('app.ticket', true);
        reader name := CASE wanted WHEN 'ticket' THEN 'taskapp_dba' ELSE 'taskapp_breakglass' END;
        ticket app.access_log;
    BEGIN
        IF asked IS NULL OR asked = '' THEN
            RETURN NULL;
        END IF;
        IF asked ~ '^[0-9]{1,18}$' THEN
            SELECT * INTO ticket FROM app.access_log t
            WHERE t.id = asked::bigint AND t.person = session_user
              AND t.login = (SELECT r.oid FROM pg_roles r WHERE r.rolname = session_user);
        END IF;
        IF ticket.id IS NULL THEN
            RAISE EXCEPTION 'app.ticket = % names no ticket of %', quote_literal(left(asked, 40)), session_user
                USING ERRCODE = 'TA005', HINT = 'A ticket is good for the login that opened it, and for no other.';
        ELSIF NOT app_private.is_in(reader) THEN
            RAISE EXCEPTION '% is no member of % any more', session_user, reader USING ERRCODE = 'TA005';
        ELSIF ticket.kind <> wanted THEN
            RAISE EXCEPTION '% % does not go with %', ticket.kind, ticket.id, reader USING ERRCODE = 'TA005',
                HINT = 'SET ROLE taskapp_dba reads with a ticket, SET ROLE taskapp_breakglass with a break-glass.';
        ELSIF ticket.closed_at IS NOT NULL THEN
            RAISE EXCEPTION '% % was closed by %', ticket.kind, ticket.id, ticket.closed_by USING ERRCODE = 'TA005',
                HINT = 'What is closed is not opened again: open another.';
        ELSIF ticket.expires_at IS NULL THEN
            RAISE EXCEPTION 'break-glass % waits for a second person', ticket.id USING ERRCODE = 'TA005',
                HINT = format('They run: flask isolation approve %s', ticket.id);
        ELSIF ticket.expires_at <= clock_timestamp() THEN
            -- Not now(), which stands still in a transaction that somebody keeps open.
            RAISE EXCEPTION '% % has expired at %', ticket.kind, ticket.id,
                to_char(ticket.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') USING ERRCODE = 'TA005',
                HINT = 'Open another.';
        ELSIF pg_xact_status(ticket.opened_xid) = 'in progress' THEN
            -- Only one's own transaction shows what has not committed. A ROLLBACK would erase the trail.
            RAISE EXCEPTION '% % is not committed yet', ticket.kind, ticket.id USING ERRCODE = 'TA005',
                HINT = 'COMMIT first, then read.';
        ELSIF (SELECT app_private.xmax_not_aborted(t.xmax) FROM app.access_log t WHERE t.id = ticket.id) THEN
            -- Somebody is closing it and has not committed, or has since this transaction's snapshot was taken. The trail
            -- has the moment at which that began, so from then on nothing is read.
            RAISE EXCEPTION '% % is being closed', ticket.kind, ticket.id USING ERRCODE = 'TA005';
        END IF;
        RETURN ticket;
    END $$;
    COMMENT ON FUNCTION app_private.require_open_ticket IS
        'The ticket of this kind that app.ticket names, if it opens anything now; NULL without one; TA005 for a dead one.';

    -- The functions that the policies of taskapp_dba and taskapp_breakglass call.
    CREATE FUNCTION app.ticket_subject() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT (app_private.require_open_ticket('ticket')).subject;
    END;
    COMMENT ON FUNCTION app.ticket_subject IS
        'The user whose rows the ticket in app.ticket opens, NULL without one. Raises TA005 when it opens nothing.';
    GRANT EXECUTE ON FUNCTION app.ticket_subject TO taskapp_dba;

    CREATE FUNCTION app.break_glass_is_open() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT (app_private.require_open_ticket('break-glass')).id IS NOT NULL;
    END;
    COMMENT ON FUNCTION app.break_glass_is_open IS
        'Whether app.ticket names a break-glass that is open; false without one. Raises TA005 when it opens nothing.';
    GRANT EXECUTE ON FUNCTION app.break_glass_is_open TO taskapp_breakglass;

    -- The functions that DBAs call; app.open_ticket stands with the accounts, in which it looks up the user.
    CREATE FUNCTION app_private.insert_access_log(kind text, subject uuid, reason text, minutes integer) RETURNS bigint
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        opener name := CASE insert_access_log.kind WHEN 'ticket' THEN 'taskapp_dba' ELSE 'taskapp_breakglass' END;
        ticket bigint;
    BEGIN
        IF NOT app_private.is_in(opener) THEN
            RAISE EXCEPTION '% is no member of %', session_user, opener USING ERRCODE = 'TA005',
                HINT = format('An administrator changes that: flask isolation dba add %s', session_user);
        END IF;
        IF insert_access_log.minutes IS NULL OR insert_access_log.minutes NOT BETWEEN 1 AND 480 THEN
            RAISE EXCEPTION 'a ticket lasts 1 to 480 minutes' USING ERRCODE = 'TA005';
        END IF;
        IF coalesce(char_length(btrim(insert_access_log.reason)), 0) NOT BETWEEN 5 AND 500 THEN
            RAISE EXCEPTION 'a ticket needs a reason, of 5 to 500 characters' USING ERRCODE = 'TA005';
        END IF;
        -- Whoever reads the trail at a terminal is to see what is there, and no entry that is not.
        IF insert_access_log.reason ~ '[\u0001-\u001f\u007f-\u009f]' THEN
            RAISE EXCEPTION 'a reason is one line, without control characters' USING ERRCODE = 'TA005';
        END IF;
        INSERT INTO app.access_log (kind, login, subject, reason, minutes, expires_at)
        SELECT insert_access_log.kind, r.oid, insert_access_log.subject, btrim(insert_access_log.reason),
               insert_access_log.minutes,
               CASE insert_access_log.kind WHEN 'ticket' THEN
                    clock_timestamp() + make_interval(mins => insert_access_log.minutes) END
        FROM pg_roles r WHERE r.rolname = session_user
        RETURNING id INTO ticket;
        RETURN ticket;
    END $$;
    COMMENT ON FUNCTION app_private.insert_access_log IS 'Write an entry of the person who is logged in; return its number.';

    CREATE FUNCTION app.request_break_glass(reason text, minutes integer DEFAULT 30) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        RETURN app_private.insert_access_log('break-glass', NULL, reason, minutes);
    END $$;
    COMMENT ON FUNCTION app.request_break_glass IS
        'Ask to read everybody''s rows for some minutes from the approval on, and return the number for app.ticket.'
        ' Raises TA005 when something about it is wrong.';

    CREATE FUNCTION app.approve_break_glass(ticket bigint) RETURNS timestamptz
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        until timestamptz;
    BEGIN
        -- The clock's time, not that of a transaction that somebody has begun an hour ago.
        UPDATE app.access_log t SET approved_by = session_user, approved_at = clock_timestamp(),
            expires_at = clock_timestamp() + make_interval(mins => t.minutes)
        WHERE t.id = ticket AND t.kind = 'break-glass' AND t.approved_by IS NULL AND t.closed_at IS NULL
          AND t.person <> session_user AND t.login <> (SELECT r.oid FROM pg_roles r WHERE r.rolname = session_user)
          AND t.opened_at > clock_timestamp() - interval '15 minutes' AND app_private.is_in('taskapp_breakglass')
        RETURNING t.expires_at INTO until;
        IF until IS NULL THEN
            RAISE EXCEPTION 'there is no break-glass % of somebody else to approve', ticket USING ERRCODE = 'TA005',
                HINT = 'It takes another person, within 15 minutes, and once.';
        END IF;
        RETURN until;
    END $$;
    COMMENT ON FUNCTION app.approve_break_glass IS
        'Agree, as the second person, that somebody else reads everybody''s rows; returns until when. Raises TA005 when'
        ' there is nothing to agree to.';
    GRANT EXECUTE ON FUNCTION app.request_break_glass, app.approve_break_glass TO taskapp_breakglass;

    CREATE FUNCTION app.close_ticket(ticket bigint) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        entry app.access_log;
    BEGIN
        UPDATE app.access_log t SET closed_at = clock_timestamp(), closed_by = session_user
        WHERE t.id = ticket AND t.closed_at IS NULL
          AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
          AND (t.person = session_user OR app_private.is_in('taskapp_auditor')
               OR (t.kind = 'break-glass' AND app_private.is_in('taskapp_breakglass')))
        RETURNING t.* INTO entry;
        IF entry.id IS NULL THEN
            RAISE EXCEPTION 'there is no open ticket % of yours to close', ticket USING ERRCODE = 'TA005',
                HINT = 'Auditors may close any; whoever may approve break-glass may end it.';
        END IF;
        -- Whatever these have read, are reading, or hold in a cursor, goes with them.
        RETURN CASE WHEN entry.expires_at IS NOT NULL AND (entry.kind = 'break-glass' OR entry.person <> session_user)
                    THEN app_private.terminate_backends_of(entry.login) ELSE 0 END;
    END $$;
    COMMENT ON FUNCTION app.close_ticket IS
        'End a ticket or a break-glass before its time, or refuse one. Ending a break-glass, or somebody else''s ticket,'
        ' ends all other sessions of the person who had opened it; returns how many. Raises TA005 when there is nothing.';
    GRANT EXECUTE ON FUNCTION app.close_ticket TO taskapp_dba, taskapp_breakglass, taskapp_auditor;

    SET LOCAL ROLE taskapp_owner;
    REVOKE CREATE ON SCHEMA app FROM taskapp_definer;
    """)


def downgrade() -> None:
    op.execute("""
    SET LOCAL ROLE taskapp_definer;
    DROP FUNCTION app.close_ticket(bigint);
    DROP FUNCTION app.approve_break_glass(bigint);
    DROP FUNCTION app.request_break_glass(text, integer);
    DROP FUNCTION app_private.insert_access_log(text, uuid, text, integer);
    DROP FUNCTION app.break_glass_is_open();
    DROP FUNCTION app.ticket_subject();
    DROP FUNCTION app_private.require_open_ticket(text);
    DROP FUNCTION app_private.xmax_not_aborted(xid);
    DROP FUNCTION app_private.is_in(name);
    GRANT USAGE ON SCHEMA app_private TO taskapp_warden;

    SET LOCAL ROLE taskapp_warden;
    DROP FUNCTION app_private.terminate_backends_of(oid);

    SET LOCAL ROLE taskapp_definer;
    REVOKE USAGE ON SCHEMA app_private FROM taskapp_warden;

    SET LOCAL ROLE taskapp_owner;
    DROP TABLE app.access_log;
    """)
