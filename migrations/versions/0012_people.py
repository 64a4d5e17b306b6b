"""People at psql: one user's rows through a ticket, everybody's through two persons, and a trail that no ROLLBACK erases.

Revision ID: 0012
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# What a person with a ticket may read: all of what the user wrote, and nothing that lets anybody in.
CONTENT = {
    "users": "user_id, email, display_name, timezone, week_start, version, created_at, updated_at, disabled_at",
    "sessions": "user_id, id, created_at, expires_at, revoked_at, device_name, user_agent, ip, last_used_at",
    "access_tokens": "user_id, id, name, scopes, prefix, created_at, last_used_at, expires_at",
    "lists": "user_id, id, name, color, position, archived, created_from, version, created_at, updated_at",
    "tags": "user_id, key, name",
    "tasks": "user_id, id, title, notes, status, priority, version, created_at, updated_at, list_id, parent_id, position,"
    " tags, start_date, due_date, due_time, due_timezone, metadata, completed_at, deleted_at, created_from, list_key,"
    " due_at, due_sort, priority_sort, title_sort, completed_sort, words",
    "completions": "user_id, id, task_id, title, due_date, due_time, due_timezone, outcome, completed_at, due_at",
    "answers": "user_id, key, status, answered_at",
}
# What an auditor may read of everybody: whose it is, when, and what became of it; nothing that anybody wrote.
METADATA = {
    "users": "user_id, email, version, created_at, updated_at, disabled_at",
    "sessions": "user_id, id, created_at, expires_at, revoked_at, last_used_at",
    "access_tokens": "user_id, id, scopes, created_at, last_used_at, expires_at",
    "lists": "user_id, id, archived, version, created_at, updated_at",
    "tags": "user_id",
    "tasks": "user_id, id, status, priority, list_id, parent_id, version, created_at, updated_at, completed_at, deleted_at",
    "completions": "user_id, id, task_id, outcome, completed_at",
    "answers": "user_id, status, answered_at",
}


def upgrade() -> None:
    op.execute(r"""
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'taskapp_warden') THEN
            RAISE EXCEPTION 'the role taskapp_warden is missing: run `flask database init` again, then this';
        END IF;
    END $$;

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
        opened_in   xid8 DEFAULT pg_current_xact_id() NOT NULL,
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
    COMMENT ON COLUMN app.access_log.opened_in IS 'Transaction that opened it; before its COMMIT the ticket opens nothing.';
    COMMENT ON COLUMN app.access_log.approved_by IS 'Login of the second person, or NULL.';
    COMMENT ON COLUMN app.access_log.approved_at IS 'When the second person agreed, or NULL.';
    COMMENT ON COLUMN app.access_log.expires_at IS 'From then on it opens nothing; NULL until break-glass is approved.';
    COMMENT ON COLUMN app.access_log.closed_at IS 'When it was ended before its time, or NULL.';
    COMMENT ON COLUMN app.access_log.closed_by IS 'Who ended it, or NULL.';

    ALTER TABLE app.access_log ENABLE ROW LEVEL SECURITY;
    ALTER TABLE app.access_log FORCE ROW LEVEL SECURITY;
    -- The functions below write it, as taskapp_definer. No delete, for anybody.
    CREATE POLICY access_log_definer_select ON app.access_log FOR SELECT TO taskapp_definer USING (true);
    CREATE POLICY access_log_definer_insert ON app.access_log FOR INSERT TO taskapp_definer
        WITH CHECK (person = session_user AND approved_by IS NULL AND closed_by IS NULL);
    -- What is closed stays as it is.
    CREATE POLICY access_log_definer_update ON app.access_log FOR UPDATE TO taskapp_definer
        USING (closed_at IS NULL) WITH CHECK (session_user IN (approved_by, closed_by));
    GRANT SELECT, INSERT (kind, login, subject, reason, minutes, expires_at),
          UPDATE (approved_by, approved_at, expires_at, closed_at, closed_by)
        ON app.access_log TO taskapp_definer;
    -- People see what they opened themselves, whoever may approve sees what there is to approve, auditors see all.
    CREATE POLICY access_log_dba_select ON app.access_log FOR SELECT TO taskapp_dba USING (person = session_user);
    CREATE POLICY access_log_breakglass_select ON app.access_log FOR SELECT TO taskapp_breakglass
        USING (kind = 'break-glass');
    CREATE POLICY access_log_auditor_select ON app.access_log FOR SELECT TO taskapp_auditor USING (true);
    GRANT SELECT ON app.access_log TO taskapp_dba, taskapp_breakglass, taskapp_auditor;

    -- Tickets are for a user, who may be called by address. Only what app.open_ticket looks up exists for its owner.
    CREATE POLICY users_definer_floor ON app.users AS RESTRICTIVE TO taskapp_definer
        USING ((SELECT lower(NULLIF(current_setting('app.who', true), ''))) IN (user_id::text, lower(email)))
        WITH CHECK (false);
    CREATE POLICY users_definer_select ON app.users FOR SELECT TO taskapp_definer
        USING ((SELECT lower(NULLIF(current_setting('app.who', true), ''))) IN (user_id::text, lower(email)));
    GRANT SELECT (user_id, email) ON app.users TO taskapp_definer;

    GRANT USAGE ON SCHEMA app TO taskapp_dba, taskapp_breakglass, taskapp_auditor;
    GRANT CREATE ON SCHEMA app TO taskapp_definer;
    """)

    op.execute(r"""
    SET LOCAL ROLE taskapp_definer;
    GRANT CREATE ON SCHEMA app_private TO taskapp_warden;
    GRANT USAGE ON SCHEMA app_private TO taskapp_warden;

    SET LOCAL ROLE taskapp_warden;
    -- The warden is a member of every person's login, and of nothing else: so it may end their sessions, and no other's.
    CREATE FUNCTION app_private.end_sessions_of(login oid) RETURNS integer
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))::integer FROM pg_stat_activity
        WHERE usesysid = login AND pid <> pg_backend_pid();
    END;
    COMMENT ON FUNCTION app_private.end_sessions_of IS 'End a person''s sessions, but for the one that asks; say how many.';
    REVOKE ALL ON FUNCTION app_private.end_sessions_of FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION app_private.end_sessions_of TO taskapp_definer;

    SET LOCAL ROLE taskapp_definer;
    REVOKE ALL ON SCHEMA app_private FROM taskapp_warden;

    -- Whether the login may do what members of a group do, by a membership of its own: not by one that somebody else has, of
    -- whom it is a member, and not because its session took the role before the membership ended.
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

    -- A row that somebody is changing, or has changed since this snapshot, still looks as it was; but it bears the number of
    -- that transaction as its xmax. The number lacks its upper half: meant is the nearest to today's that ends so.
    CREATE FUNCTION app_private.has_begun(change xid) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT change::text <> '0' AND pg_xact_status((
            today + (change::text::bigint - today % 4294967296 + 6442450944) % 4294967296 - 2147483648
        )::text::xid8) <> 'aborted'
        FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS today) AS now;
    END;
    COMMENT ON FUNCTION app_private.has_begun IS 'Whether the change of a row that left this xmax was not taken back.';

    -- Own SQLSTATE TA005: what a person asked for is not to be had, and the message says why. An open ticket is told from a
    -- dead one by an error, not by zero rows, which somebody might believe.
    CREATE FUNCTION app_private.live_ticket(wanted text) RETURNS app.access_log
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
        ELSIF pg_xact_status(ticket.opened_in) = 'in progress' THEN
            -- Only one's own transaction shows what has not committed. A ROLLBACK would erase the trail.
            RAISE EXCEPTION '% % is not committed yet', ticket.kind, ticket.id USING ERRCODE = 'TA005',
                HINT = 'COMMIT first, then read.';
        ELSIF (SELECT app_private.has_begun(t.xmax) FROM app.access_log t WHERE t.id = ticket.id) THEN
            -- Somebody is closing it and has not committed, or has since this transaction's snapshot was taken. The trail
            -- has the moment at which that began, so from then on nothing is read.
            RAISE EXCEPTION '% % is being closed', ticket.kind, ticket.id USING ERRCODE = 'TA005';
        END IF;
        RETURN ticket;
    END $$;
    COMMENT ON FUNCTION app_private.live_ticket IS
        'The ticket of this kind that app.ticket names, if it opens anything now; NULL without one; TA005 for a dead one.';

    -- What the policies of taskapp_dba and taskapp_breakglass ask.
    CREATE FUNCTION app.ticket_subject() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT (app_private.live_ticket('ticket')).subject;
    END;
    COMMENT ON FUNCTION app.ticket_subject IS
        'The user whose rows the ticket in app.ticket opens, NULL without one. Raises TA005 when it opens nothing.';
    CREATE FUNCTION app.glass_is_broken() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT (app_private.live_ticket('break-glass')).id IS NOT NULL;
    END;
    COMMENT ON FUNCTION app.glass_is_broken IS
        'Whether app.ticket names a break-glass that is open; false without one. Raises TA005 when it opens nothing.';

    CREATE FUNCTION app_private.log_access(kind text, subject uuid, reason text, minutes integer) RETURNS bigint
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        opener name := CASE log_access.kind WHEN 'ticket' THEN 'taskapp_dba' ELSE 'taskapp_breakglass' END;
        ticket bigint;
    BEGIN
        IF NOT app_private.is_in(opener) THEN
            RAISE EXCEPTION '% is no member of %', session_user, opener USING ERRCODE = 'TA005',
                HINT = format('An administrator changes that: flask isolation dba add %s', session_user);
        END IF;
        IF log_access.minutes IS NULL OR log_access.minutes NOT BETWEEN 1 AND 480 THEN
            RAISE EXCEPTION 'a ticket lasts 1 to 480 minutes' USING ERRCODE = 'TA005';
        END IF;
        IF coalesce(char_length(btrim(log_access.reason)), 0) NOT BETWEEN 5 AND 500 THEN
            RAISE EXCEPTION 'a ticket needs a reason, of 5 to 500 characters' USING ERRCODE = 'TA005';
        END IF;
        -- Whoever reads the trail at a terminal is to see what is there, and no entry that is not.
        IF log_access.reason ~ '[\u0001-\u001f\u007f-\u009f]' THEN
            RAISE EXCEPTION 'a reason is one line, without control characters' USING ERRCODE = 'TA005';
        END IF;
        INSERT INTO app.access_log (kind, login, subject, reason, minutes, expires_at)
        SELECT log_access.kind, r.oid, log_access.subject, btrim(log_access.reason), log_access.minutes,
               CASE log_access.kind WHEN 'ticket' THEN clock_timestamp() + make_interval(mins => log_access.minutes) END
        FROM pg_roles r WHERE r.rolname = session_user
        RETURNING id INTO ticket;
        RETURN ticket;
    END $$;
    COMMENT ON FUNCTION app_private.log_access IS 'Write an entry of the person who is logged in; return its number.';

    CREATE FUNCTION app.open_ticket(who text, reason text, minutes integer DEFAULT 60) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        found uuid;
    BEGIN
        PERFORM set_config('app.who', coalesce(who, ''), true);
        SELECT u.user_id INTO found FROM app.users u;
        PERFORM set_config('app.who', '', true);
        IF found IS NULL THEN
            RAISE EXCEPTION 'there is no user %', coalesce(quote_literal(left(who, 254)), 'NULL') USING ERRCODE = 'TA005',
                HINT = 'Give the user''s id or e-mail address.';
        END IF;
        RETURN app_private.log_access('ticket', found, reason, minutes);
    END $$;
    COMMENT ON FUNCTION app.open_ticket IS
        'Open a ticket to read one user''s rows for some minutes, and return its number for app.ticket. COMMIT before you'
        ' read. who is an id or an e-mail address. Raises TA005 when something about it is wrong.';

    CREATE FUNCTION app.request_break_glass(reason text, minutes integer DEFAULT 30) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        RETURN app_private.log_access('break-glass', NULL, reason, minutes);
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
                    THEN app_private.end_sessions_of(entry.login) ELSE 0 END;
    END $$;
    COMMENT ON FUNCTION app.close_ticket IS
        'End a ticket or a break-glass before its time, or refuse one. Ending a break-glass, or somebody else''s ticket,'
        ' ends all other sessions of the person who had opened it; returns how many. Raises TA005 when there is nothing.';

    GRANT EXECUTE ON FUNCTION app.ticket_subject TO taskapp_dba;
    GRANT EXECUTE ON FUNCTION app.open_ticket TO taskapp_dba;
    GRANT EXECUTE ON FUNCTION app.glass_is_broken, app.request_break_glass, app.approve_break_glass TO taskapp_breakglass;
    GRANT EXECUTE ON FUNCTION app.close_ticket TO taskapp_dba, taskapp_breakglass, taskapp_auditor;

    SET LOCAL ROLE taskapp_owner;
    REVOKE CREATE ON SCHEMA app FROM taskapp_definer;
    """)

    for table, columns in CONTENT.items():
        op.execute(f"""
        -- With a ticket, people see the rows of its user; with a break-glass, everybody's. They write nothing.
        CREATE POLICY {table}_dba_floor ON app.{table} AS RESTRICTIVE TO taskapp_dba
            USING (user_id = (SELECT app.ticket_subject())) WITH CHECK (false);
        CREATE POLICY {table}_dba_select ON app.{table} FOR SELECT TO taskapp_dba
            USING (user_id = (SELECT app.ticket_subject()));
        CREATE POLICY {table}_breakglass_floor ON app.{table} AS RESTRICTIVE TO taskapp_breakglass
            USING ((SELECT app.glass_is_broken())) WITH CHECK (false);
        CREATE POLICY {table}_breakglass_select ON app.{table} FOR SELECT TO taskapp_breakglass
            USING ((SELECT app.glass_is_broken()));
        GRANT SELECT ({columns}) ON app.{table} TO taskapp_dba, taskapp_breakglass;
        """)
    for table, columns in METADATA.items():
        op.execute(f"""
        -- Auditors see of every row what it is, and of no row what it says. The grants are what limits them.
        CREATE POLICY {table}_auditor_select ON app.{table} FOR SELECT TO taskapp_auditor USING (true);
        GRANT SELECT ({columns}) ON app.{table} TO taskapp_auditor;
        """)

    op.execute("""
    -- The questions that are really asked. Views run as whoever asks, so the policies hold.
    CREATE VIEW app.accounts WITH (security_invoker = true) AS
        SELECT user_id, email, display_name, timezone, week_start, version, created_at, updated_at, disabled_at
        FROM app.users;
    COMMENT ON VIEW app.accounts IS 'Accounts without the hash of the password, so that * works.';
    COMMENT ON COLUMN app.accounts.user_id IS 'The user.';
    COMMENT ON COLUMN app.accounts.email IS 'Address to log in with, as typed.';
    COMMENT ON COLUMN app.accounts.display_name IS 'What the user wants to be called, or NULL.';
    COMMENT ON COLUMN app.accounts.timezone IS 'IANA time zone in which this user''s days begin and end.';
    COMMENT ON COLUMN app.accounts.week_start IS 'First day of this user''s week: monday, saturday or sunday.';
    COMMENT ON COLUMN app.accounts.version IS 'Counts the changes of the row; the ETag of the HTTP API.';
    COMMENT ON COLUMN app.accounts.created_at IS 'When the account was registered.';
    COMMENT ON COLUMN app.accounts.updated_at IS 'When the row last changed.';
    COMMENT ON COLUMN app.accounts.disabled_at IS 'When an operator closed the account to log-in, or NULL.';

    CREATE VIEW app.overdue WITH (security_invoker = true) AS
        SELECT t.user_id, t.id, t.title, l.name AS list, t.due_date, t.due_time,
               coalesce(t.due_timezone, u.timezone) AS timezone,
               date_trunc('minute', now() - coalesce(t.due_at, t.due_sort AT TIME ZONE u.timezone)) AS overdue_by
        FROM app.tasks t
        JOIN app.users u ON u.user_id = t.user_id
        LEFT JOIN app.lists l ON l.user_id = t.user_id AND l.id = t.list_id
        WHERE t.status = 'open' AND t.deleted_at IS NULL AND t.due_date IS NOT NULL
          AND coalesce(t.due_at, t.due_sort AT TIME ZONE u.timezone) < now();
    COMMENT ON VIEW app.overdue IS
        'Open tasks whose time has passed: by their own time zone, or by their owner''s; without a time, when the day has.';
    COMMENT ON COLUMN app.overdue.user_id IS 'Whose task it is.';
    COMMENT ON COLUMN app.overdue.id IS 'UUID of the task.';
    COMMENT ON COLUMN app.overdue.title IS 'Its title.';
    COMMENT ON COLUMN app.overdue.list IS 'Name of its list, or NULL for the Inbox.';
    COMMENT ON COLUMN app.overdue.due_date IS 'Day it was due.';
    COMMENT ON COLUMN app.overdue.due_time IS 'Time of that day, or NULL for all day.';
    COMMENT ON COLUMN app.overdue.timezone IS 'The zone that due_date and due_time are read in.';
    COMMENT ON COLUMN app.overdue.overdue_by IS 'For how long, in whole minutes.';

    CREATE VIEW app.changed_today WITH (security_invoker = true) AS
        WITH today AS (
            SELECT u.user_id, date_trunc('day', now() AT TIME ZONE u.timezone) AT TIME ZONE u.timezone AS began
            FROM app.users u
        )
        SELECT t.user_id, 'task' AS what, t.id, t.title AS name,
               CASE WHEN t.deleted_at >= began THEN 'deleted'
                    WHEN t.created_at >= began THEN 'created'
                    WHEN t.completed_at >= began THEN t.status
                    ELSE 'changed' END AS change,
               t.updated_at AS changed_at
        FROM app.tasks t JOIN today ON today.user_id = t.user_id WHERE t.updated_at >= began
        UNION ALL
        SELECT l.user_id, 'list', l.id, l.name,
               CASE WHEN l.created_at >= began THEN 'created' ELSE 'changed' END, l.updated_at
        FROM app.lists l JOIN today ON today.user_id = l.user_id WHERE l.updated_at >= began;
    COMMENT ON VIEW app.changed_today IS
        'Tasks and lists that changed since midnight in their owner''s time zone. What was deleted for good is gone.';
    COMMENT ON COLUMN app.changed_today.user_id IS 'Whose it is.';
    COMMENT ON COLUMN app.changed_today.what IS 'task or list.';
    COMMENT ON COLUMN app.changed_today.id IS 'UUID of the task or list.';
    COMMENT ON COLUMN app.changed_today.name IS 'Title of the task, or name of the list.';
    COMMENT ON COLUMN app.changed_today.changed_at IS 'When it last changed.';
    COMMENT ON COLUMN app.changed_today.change IS 'created, changed, completed, cancelled or deleted.';

    CREATE VIEW app.usage WITH (security_invoker = true) AS
        WITH per_table AS (
            SELECT user_id, 'tasks' AS kind, count(*) AS rows FROM app.tasks GROUP BY user_id
            UNION ALL SELECT user_id, 'lists', count(*) FROM app.lists GROUP BY user_id
            UNION ALL SELECT user_id, 'tags', count(*) FROM app.tags GROUP BY user_id
            UNION ALL SELECT user_id, 'completions', count(*) FROM app.completions GROUP BY user_id
            UNION ALL SELECT user_id, 'answers', count(*) FROM app.answers GROUP BY user_id
            UNION ALL SELECT user_id, 'sessions', count(*) FROM app.sessions GROUP BY user_id
        ), size AS (
            SELECT c.relname, pg_total_relation_size(c.oid) / nullif(greatest(c.reltuples, 0), 0) AS bytes FROM pg_class c
            WHERE c.relnamespace = to_regnamespace('app')
        )
        SELECT u.user_id, u.email,
               coalesce(sum(p.rows) FILTER (WHERE p.kind = 'tasks'), 0)::bigint AS tasks,
               coalesce(sum(p.rows) FILTER (WHERE p.kind = 'lists'), 0)::bigint AS lists,
               coalesce(sum(p.rows) FILTER (WHERE p.kind = 'tags'), 0)::bigint AS tags,
               coalesce(sum(p.rows) FILTER (WHERE p.kind = 'completions'), 0)::bigint AS completions,
               coalesce(sum(p.rows) FILTER (WHERE p.kind = 'answers'), 0)::bigint AS answers,
               coalesce(sum(p.rows) FILTER (WHERE p.kind = 'sessions'), 0)::bigint AS sessions,
               coalesce(sum(p.rows * s.bytes), 0)::bigint AS about_bytes
        FROM app.users u
        LEFT JOIN per_table p ON p.user_id = u.user_id
        LEFT JOIN size s ON s.relname = p.kind
        GROUP BY u.user_id, u.email;
    COMMENT ON VIEW app.usage IS 'How much each user has, for auditors.';
    COMMENT ON COLUMN app.usage.user_id IS 'The user.';
    COMMENT ON COLUMN app.usage.email IS 'The user''s address.';
    COMMENT ON COLUMN app.usage.tasks IS 'Tasks, those in the trash included.';
    COMMENT ON COLUMN app.usage.lists IS 'Lists.';
    COMMENT ON COLUMN app.usage.tags IS 'Tags.';
    COMMENT ON COLUMN app.usage.completions IS 'Completions in the history.';
    COMMENT ON COLUMN app.usage.sessions IS 'Sessions, those that have ended included.';
    COMMENT ON COLUMN app.usage.answers IS 'Answers kept for Idempotency-Keys.';
    COMMENT ON COLUMN app.usage.about_bytes IS
        'Rows times the average size of a row of their table, indexes included, as of its last ANALYZE.';

    GRANT SELECT ON app.accounts, app.overdue, app.changed_today TO taskapp_dba, taskapp_breakglass;
    GRANT SELECT ON app.usage TO taskapp_auditor;
    """)


def downgrade() -> None:
    op.execute("DROP VIEW app.usage; DROP VIEW app.changed_today; DROP VIEW app.overdue; DROP VIEW app.accounts;")
    for table in CONTENT:
        op.execute(f"""
        DROP POLICY {table}_auditor_select ON app.{table};
        DROP POLICY {table}_breakglass_select ON app.{table};
        DROP POLICY {table}_breakglass_floor ON app.{table};
        DROP POLICY {table}_dba_select ON app.{table};
        DROP POLICY {table}_dba_floor ON app.{table};
        REVOKE ALL ON app.{table} FROM taskapp_dba, taskapp_breakglass, taskapp_auditor;
        """)
    op.execute("""
    SET LOCAL ROLE taskapp_definer;
    DROP FUNCTION app.close_ticket(bigint);
    DROP FUNCTION app.approve_break_glass(bigint);
    DROP FUNCTION app.request_break_glass(text, integer);
    DROP FUNCTION app.open_ticket(text, text, integer);
    DROP FUNCTION app_private.log_access(text, uuid, text, integer);
    DROP FUNCTION app.glass_is_broken();
    DROP FUNCTION app.ticket_subject();
    DROP FUNCTION app_private.live_ticket(text);
    DROP FUNCTION app_private.has_begun(xid);
    DROP FUNCTION app_private.is_in(name);
    GRANT USAGE ON SCHEMA app_private TO taskapp_warden;

    SET LOCAL ROLE taskapp_warden;
    DROP FUNCTION app_private.end_sessions_of(oid);

    SET LOCAL ROLE taskapp_definer;
    REVOKE USAGE ON SCHEMA app_private FROM taskapp_warden;

    SET LOCAL ROLE taskapp_owner;
    DROP POLICY users_definer_select ON app.users;
    DROP POLICY users_definer_floor ON app.users;
    REVOKE SELECT (user_id, email) ON app.users FROM taskapp_definer;
    DROP TABLE app.access_log;
    REVOKE USAGE ON SCHEMA app FROM taskapp_dba, taskapp_breakglass, taskapp_auditor;
    """)
