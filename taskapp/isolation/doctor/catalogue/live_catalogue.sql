-- What the doctor reads of a catalogue: kind of object, name, property, value. `ours` are the schemas of the migrations;
-- `built-in` is what came with PostgreSQL (OIDs below 16384), `added` what somebody put among it, `outside` all the rest.
-- Names print with their schema, since the transaction searches pg_catalog alone.

WITH ours AS (
    SELECT oid, nspname FROM pg_namespace WHERE nspname IN ('app', 'app_private')
), builtin AS (
    SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema')
), passing AS (
    SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_(toast|temp_\d+|toast_temp_\d+)$'
), extended AS (
    -- Of an extension that is there: a line that names another hides nothing.
    SELECT classid, objid FROM pg_depend JOIN pg_extension e ON e.oid = refobjid
    WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
), this AS (
    SELECT * FROM pg_database WHERE datname = current_database()
), member AS (
    SELECT m.roleid, m.member, m.grantor, who.rolname AS who, what.rolname AS what, m.admin_option AS admin,
           coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, who.rolinherit) AS inherits,
           coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) AS sets
    FROM pg_auth_members m JOIN pg_roles who ON who.oid = m.member JOIN pg_roles what ON what.oid = m.roleid
), role AS (
    SELECT * FROM pg_roles WHERE rolname LIKE 'taskapp\_%'
), person AS (
    -- As `flask isolation dba` makes them: any number of them, with no right but to connect.
    SELECT * FROM pg_roles WHERE rolcanlogin AND rolname NOT LIKE 'taskapp\_%' AND oid IN (
        SELECT member FROM member WHERE (inherits OR sets)
        AND what IN ('taskapp_dba', 'taskapp_auditor', 'taskapp_breakglass'))
), relation AS (
    SELECT c.*, ours.nspname, format('%s.%s', ours.nspname, c.relname) AS name,
           CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence'
               WHEN 'm' THEN 'materialized-view' WHEN 'f' THEN 'foreign-table' WHEN 'c' THEN 'type' END AS kind
    FROM pg_class c JOIN ours ON ours.oid = c.relnamespace WHERE c.relkind NOT IN ('i', 'I', 't')
), col AS (
    SELECT r.oid AS relid, a.*, format('%s.%s', r.name, a.attname) AS name, r.relkind, r.relowner
    FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
), routine AS (
    SELECT p.*, p.oid::regprocedure::text AS name, l.lanname FROM pg_proc p JOIN ours ON ours.oid = p.pronamespace
    JOIN pg_language l ON l.oid = p.prolang
), stranger AS (
    -- Not of ours. To print a function takes a search for its like, so that is done for the few that are told of.
    SELECT c.oid, c.relowner AS owner, c.relacl AS acl, 'pg_class'::regclass AS class, n.nspname, c.relnamespace AS room,
           CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char" AS acltype,
           format('%s %s', CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized-view' WHEN 'S' THEN 'sequence'
               WHEN 'f' THEN 'foreign-table' WHEN 'c' THEN 'type' ELSE 'table' END, c.oid::regclass) AS label,
           false AS definer, c.relkind IN ('r', 'p', 'v', 'm', 'f') AS has_rows
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind NOT IN ('i', 'I') AND (c.relkind <> 't' OR c.relacl IS NOT NULL) AND c.relnamespace NOT IN (SELECT oid FROM ours)
    AND (c.relnamespace NOT IN (SELECT oid FROM passing) OR c.relpersistence <> 't')
    UNION ALL
    SELECT p.oid, p.proowner, p.proacl, 'pg_proc'::regclass, n.nspname, p.pronamespace, 'f',
           NULL, p.prosecdef, false
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.pronamespace NOT IN (SELECT oid FROM ours) AND (p.pronamespace NOT IN (SELECT oid FROM passing) OR p.prosecdef)
    UNION ALL
    SELECT t.oid, t.typowner, t.typacl, 'pg_type'::regclass, n.nspname, t.typnamespace, 'T', 'type ' || format_type(t.oid, NULL),
           false, false
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typrelid = 0 AND t.typelem = 0 AND t.typtype <> 'm'
    AND t.typnamespace NOT IN (SELECT oid FROM ours UNION SELECT oid FROM passing)
), acl (kind, name, owner, acl, grants) AS (
    SELECT kind, name, relowner, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)), true
    FROM relation WHERE relkind <> 'c'
    UNION ALL SELECT 'column', name, relowner, attacl, true FROM col WHERE attacl IS NOT NULL
    UNION ALL SELECT 'function', name, proowner, coalesce(proacl, acldefault('f', proowner)), true FROM routine
    UNION ALL SELECT 'schema', nspname, nspowner, coalesce(nspacl, acldefault('n', nspowner)), true FROM pg_namespace
    WHERE oid IN (SELECT oid FROM ours) OR nspname = 'public'
    UNION ALL SELECT 'database', 'this', datdba, coalesce(datacl, acldefault('d', datdba)), true FROM this
    UNION ALL
    SELECT 'type', format_type(t.oid, NULL), typowner, typacl, true FROM pg_type t JOIN ours ON ours.oid = typnamespace
    WHERE typacl IS NOT NULL
), guarded AS (
    -- Built-in functions that PostgreSQL keeps from everybody: who may call one is told by itself.
    SELECT oid, proowner, proacl FROM pg_proc WHERE oid < 16384 AND pronamespace = 'pg_catalog'::regnamespace AND proname IN (
        'lo_export', 'lo_import', 'pg_backup_start', 'pg_backup_stop', 'pg_config', 'pg_create_restore_point',
        'pg_current_logfile', 'pg_get_aios', 'pg_get_backend_memory_contexts', 'pg_get_shmem_allocations',
        'pg_get_shmem_allocations_numa', 'pg_hba_file_rules', 'pg_ident_file_mappings',
        'pg_log_backend_memory_contexts', 'pg_log_standby_snapshot', 'pg_ls_archive_statusdir', 'pg_ls_dir',
        'pg_ls_logdir', 'pg_ls_logicalmapdir', 'pg_ls_logicalsnapdir', 'pg_ls_replslotdir', 'pg_ls_summariesdir',
        'pg_ls_tmpdir', 'pg_ls_waldir', 'pg_promote', 'pg_read_binary_file', 'pg_read_file', 'pg_reload_conf',
        'pg_replication_origin_advance', 'pg_replication_origin_create', 'pg_replication_origin_drop',
        'pg_replication_origin_oid', 'pg_replication_origin_progress', 'pg_replication_origin_session_is_setup',
        'pg_replication_origin_session_progress', 'pg_replication_origin_session_reset',
        'pg_replication_origin_session_setup', 'pg_replication_origin_xact_reset', 'pg_replication_origin_xact_setup',
        'pg_rotate_logfile', 'pg_show_all_file_settings', 'pg_show_replication_origin_status', 'pg_stat_file',
        'pg_stat_have_stats', 'pg_stat_reset', 'pg_stat_reset_backend_stats', 'pg_stat_reset_replication_slot',
        'pg_stat_reset_shared', 'pg_stat_reset_single_function_counters', 'pg_stat_reset_single_table_counters',
        'pg_stat_reset_slru', 'pg_stat_reset_subscription_stats', 'pg_switch_wal', 'pg_wal_replay_pause',
        'pg_wal_replay_resume')
), called AS (
    -- What policies, functions and indexes of ours call, identities, seals and tickets among them.
    SELECT oid FROM pg_proc
    WHERE oid < 16384 AND pronamespace = 'pg_catalog'::regnamespace AND proname IN (
        'anytextcat', 'array_remove', 'array_replace', 'array_to_string', 'arraycontains', 'bit', 'booleq',
        'btequalimage', 'btint8cmp', 'btint8skipsupport', 'btint8sortsupport', 'btrim', 'bttextcmp',
        'bttextsortsupport', 'btvarstrequalimage', 'bytea_sortsupport', 'byteacmp', 'byteaeq', 'byteage', 'byteagt',
        'byteale', 'bytealt', 'cardinality', 'char_length', 'clock_timestamp', 'concat', 'concat_ws', 'convert_to',
        'current_setting', 'date_ge', 'date_le', 'date_trunc', 'datetime_pl', 'encode', 'extract', 'float4',
        'float48eq', 'float8', 'float84div', 'float8mul', 'format', 'gen_random_uuid', 'hashtext', 'hashtextextended',
        'in_range', 'int2', 'int24ge', 'int24le', 'int4', 'int4eq', 'int4ge', 'int4gt', 'int4le', 'int4lt', 'int4ne',
        'int4pl', 'int8', 'int84gt', 'int84le', 'int8eq', 'int8ge', 'int8gt', 'int8le', 'int8lt', 'int8mi', 'int8mod',
        'int8pl', 'is_normalized', 'jsonb_each', 'jsonb_extract_path_text', 'jsonb_typeof', 'left', 'length', 'lower',
        'make_interval', 'nameeq', 'nameeqtext', 'now', 'numeric', 'numeric_eq', 'numeric_mul', 'octet_length',
        'oideq', 'pg_advisory_unlock_all', 'pg_backend_pid', 'pg_current_snapshot', 'pg_current_xact_id',
        'pg_has_role', 'pg_snapshot_xmax', 'pg_terminate_backend', 'pg_total_relation_size',
        'pg_try_advisory_xact_lock', 'pg_xact_status', 'quote_literal', 'random', 'rtrim', 'set_config', 'sha256',
        'split_part', 'starts_with', 'strpos', 'substr', 'text', 'text_ge', 'text_gt', 'text_le', 'text_lt',
        'textcat', 'texteq', 'texteqname', 'textlike', 'textne', 'textregexeq', 'textregexne', 'time_lt',
        'timestamp_cmp', 'timestamp_eq', 'timestamp_ge', 'timestamp_gt', 'timestamp_le', 'timestamp_lt',
        'timestamp_skipsupport', 'timestamp_sortsupport', 'timestamptz', 'timestamptz_cmp', 'timestamptz_eq',
        'timestamptz_ge', 'timestamptz_gt', 'timestamptz_le', 'timestamptz_lt', 'timestamptz_mi',
        'timestamptz_mi_interval', 'timestamptz_pl_interval', 'timezone', 'to_char', 'to_regnamespace',
        'to_timestamp', 'to_tsvector', 'translate', 'unnest', 'uuid_cmp', 'uuid_eq', 'uuid_ge', 'uuid_gt', 'uuid_le',
        'uuid_lt', 'uuid_ne', 'uuid_skipsupport', 'uuid_sortsupport')
), equal AS (
    SELECT oid FROM pg_operator WHERE oid < 16384 AND oprname = '=' AND oprleft = oprright AND oprleft IN ('uuid'::regtype,
        'text'::regtype, 'bytea'::regtype, 'name'::regtype, 'int8'::regtype, 'timestamptz'::regtype)
), arrived AS (
    -- Grants on what is not of ours, less those that came with PostgreSQL or with an extension.
    SELECT class, oid, 0 AS sub, coalesce(label, 'function ' || oid::regprocedure) AS label, owner, acl, acltype FROM stranger WHERE acl IS NOT NULL
    AND NOT (class = 'pg_proc'::regclass AND oid IN (SELECT oid FROM guarded))
    UNION ALL
    SELECT class, s.oid, attnum, format('%s.%s', label, attname), owner, attacl, 'c' FROM stranger s
    JOIN pg_attribute ON attrelid = s.oid AND class = 'pg_class'::regclass AND attacl IS NOT NULL AND NOT attisdropped
    UNION ALL
    SELECT 'pg_namespace'::regclass, oid, 0, 'schema ' || nspname, nspowner, nspacl, 'n' FROM pg_namespace
    WHERE nspacl IS NOT NULL AND nspname <> 'public' AND oid NOT IN (SELECT oid FROM ours)
    UNION ALL
    SELECT 'pg_language'::regclass, oid, 0, 'language ' || lanname, lanowner, lanacl, 'l' FROM pg_language
    WHERE lanacl IS NOT NULL
    UNION ALL
    SELECT 'pg_foreign_data_wrapper'::regclass, oid, 0, 'foreign-data-wrapper ' || fdwname, fdwowner, fdwacl, 'F'
    FROM pg_foreign_data_wrapper WHERE fdwacl IS NOT NULL
    UNION ALL
    SELECT 'pg_foreign_server'::regclass, oid, 0, 'foreign-server ' || srvname, srvowner, srvacl, 'S' FROM pg_foreign_server
    WHERE srvacl IS NOT NULL
    UNION ALL
    SELECT 'pg_tablespace'::regclass, oid, 0, 'tablespace ' || spcname, spcowner, spcacl, 't' FROM pg_tablespace
    WHERE spcacl IS NOT NULL
    UNION ALL
    SELECT 'pg_largeobject'::regclass, oid, 0, 'large-object ' || oid, lomowner, lomacl, 'L' FROM pg_largeobject_metadata
    WHERE lomacl IS NOT NULL
    UNION ALL
    SELECT 'pg_parameter_acl'::regclass, oid, 0, 'parameter ' || parname, 10, paracl, 'p' FROM pg_parameter_acl
), made AS (
    -- Things that are found by name in every schema that a search begins with, or that belong to no schema.
    SELECT 'operator' AS what, o.oid, 'pg_operator'::regclass AS class, o.oid::regoperator::text AS label, oprnamespace AS room
    FROM pg_operator o WHERE oid >= 16384
    UNION ALL SELECT 'operator-class', oid, 'pg_opclass'::regclass, opcname, opcnamespace FROM pg_opclass WHERE oid >= 16384
    UNION ALL
    SELECT 'operator-family', oid, 'pg_opfamily'::regclass, opfname, opfnamespace FROM pg_opfamily WHERE oid >= 16384
    UNION ALL
    SELECT 'operator-of-family', a.oid, 'pg_amop'::regclass, format('%s in %s', amopopr::regoperator, opfname), opfnamespace
    FROM pg_amop a JOIN pg_opfamily f ON f.oid = amopfamily WHERE a.oid >= 16384
    UNION ALL
    SELECT 'function-of-family', a.oid, 'pg_amproc'::regclass, format('%s in %s', amproc::regprocedure, opfname), opfnamespace
    FROM pg_amproc a JOIN pg_opfamily f ON f.oid = amprocfamily WHERE a.oid >= 16384
    UNION ALL
    SELECT 'conversion', oid, 'pg_conversion'::regclass, conname, connamespace FROM pg_conversion WHERE oid >= 16384
    UNION ALL
    SELECT 'collation', oid, 'pg_collation'::regclass, collname, collnamespace FROM pg_collation WHERE oid >= 16384
    UNION ALL
    SELECT 'text-search-configuration', oid, 'pg_ts_config'::regclass, cfgname, cfgnamespace FROM pg_ts_config
    WHERE oid >= 16384
    UNION ALL
    SELECT 'text-search-dictionary', oid, 'pg_ts_dict'::regclass, dictname, dictnamespace FROM pg_ts_dict WHERE oid >= 16384
    UNION ALL
    SELECT 'text-search-parser', oid, 'pg_ts_parser'::regclass, prsname, prsnamespace FROM pg_ts_parser WHERE oid >= 16384
    UNION ALL
    SELECT 'text-search-template', oid, 'pg_ts_template'::regclass, tmplname, tmplnamespace FROM pg_ts_template WHERE oid >= 16384
    UNION ALL
    SELECT 'cast', oid, 'pg_cast'::regclass, format('from %s to %s', castsource::regtype, casttarget::regtype), 0 FROM pg_cast
    WHERE oid >= 16384
    UNION ALL SELECT 'transform', oid, 'pg_transform'::regclass, trftype::regtype::text, 0 FROM pg_transform WHERE oid >= 16384
    UNION ALL SELECT 'language', oid, 'pg_language'::regclass, lanname, 0 FROM pg_language WHERE oid >= 16384
    UNION ALL SELECT 'access-method', oid, 'pg_am'::regclass, amname, 0 FROM pg_am WHERE oid >= 16384
    UNION ALL
    SELECT 'foreign-data-wrapper', oid, 'pg_foreign_data_wrapper'::regclass, fdwname, 0 FROM pg_foreign_data_wrapper
    UNION ALL SELECT 'foreign-server', oid, 'pg_foreign_server'::regclass, srvname, 0 FROM pg_foreign_server
    UNION ALL
    SELECT 'user-mapping', umid, 'pg_user_mapping'::regclass, format('of %s at %s', usename, srvname), 0 FROM pg_user_mappings
), powers (oid, power) AS (
    SELECT oid, unnest(array_remove(ARRAY[CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END,
        CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
        CASE WHEN rolcreatedb THEN 'CREATEDB' END], NULL))
    FROM pg_roles
)
-- Tables, views, sequences, and what they consist of.
SELECT kind, name, 'owner', relowner::regrole::text FROM relation
UNION ALL SELECT kind, name, 'row security', concat_ws(', ', CASE WHEN relrowsecurity THEN 'enabled' ELSE 'disabled' END,
    CASE WHEN relforcerowsecurity THEN 'forced' END) FROM relation WHERE relkind IN ('r', 'p')
UNION ALL SELECT kind, name, 'persistence', CASE relpersistence WHEN 'u' THEN 'unlogged' ELSE 'temporary' END FROM relation
    WHERE relpersistence <> 'p'
UNION ALL SELECT kind, name, 'replica identity', relreplident::text FROM relation
    WHERE relkind IN ('r', 'p') AND relreplident <> 'd'
UNION ALL SELECT kind, name, 'option ' || split_part(entry, '=', 1), split_part(entry, '=', 2)
    FROM relation, unnest(reloptions) AS entry
UNION ALL SELECT kind, name, 'option toast.' || split_part(entry, '=', 1), split_part(entry, '=', 2)
    FROM relation JOIN pg_class AS toast ON toast.oid = relation.reltoastrelid, unnest(toast.reloptions) AS entry
UNION ALL SELECT kind, name, 'clustered by', indexrelid::regclass::text FROM relation JOIN pg_index ON indrelid = relation.oid
    WHERE indisclustered
-- All of them as one digest: what people read there is no part of what holds.
UNION ALL SELECT kind, name, 'comments', 'sha256 ' || left(encode(sha256(convert_to(
        string_agg(concat_ws(' ', attname, description), E'\n' ORDER BY objsubid), 'UTF8')), 'hex'), 16)
    FROM relation JOIN pg_description ON classoid = 'pg_class'::regclass AND objoid = relation.oid
    LEFT JOIN pg_attribute ON attrelid = objoid AND attnum = objsubid AND objsubid > 0 GROUP BY kind, name
UNION ALL SELECT 'function', name, 'comments', 'sha256 ' || left(encode(sha256(convert_to(description, 'UTF8')), 'hex'), 16)
    FROM routine JOIN pg_description ON classoid = 'pg_proc'::regclass AND objoid = routine.oid
UNION ALL SELECT 'schema', nspname, 'comments', 'sha256 ' || left(encode(sha256(convert_to(description, 'UTF8')), 'hex'), 16)
    FROM ours JOIN pg_description ON classoid = 'pg_namespace'::regclass AND objoid = ours.oid
UNION ALL SELECT kind, name, 'definition', pg_get_viewdef(oid) FROM relation WHERE relkind IN ('v', 'm')
UNION ALL SELECT kind, name, 'children', inhrelid::regclass::text FROM relation JOIN pg_inherits ON inhparent = relation.oid
UNION ALL SELECT kind, name, 'numbers', format('%s, start %s, %s to %s by %s%s', format_type(seqtypid, NULL), seqstart, seqmin,
    seqmax, seqincrement, CASE WHEN seqcycle THEN ', again and again' END) FROM relation JOIN pg_sequence ON seqrelid = relation.oid
UNION ALL SELECT kind, name, 'parents', inhparent::regclass::text FROM relation JOIN pg_inherits ON inhrelid = relation.oid
UNION ALL SELECT 'column', name, 'type', format_type(atttypid, atttypmod) FROM col WHERE relkind <> 'S'
-- The functions of a type run for each value; of a domain, so do its default and its checks.
UNION ALL SELECT 'column', col.name, 'type is', 'not built in' FROM col JOIN pg_type t ON t.oid = atttypid
    LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
    WHERE relkind <> 'S' AND (t.typtype <> 'b' OR t.oid >= 16384 OR e.typtype <> 'b' OR e.oid >= 16384)
UNION ALL SELECT 'column', name, 'not null', 'yes' FROM col WHERE attnotnull AND relkind IN ('r', 'p', 'f')
UNION ALL SELECT 'column', col.name, 'collation', collname FROM col JOIN pg_type t ON t.oid = atttypid
    JOIN pg_collation c ON c.oid = attcollation WHERE attcollation <> typcollation
UNION ALL SELECT 'column', name, 'identity', CASE attidentity WHEN 'a' THEN 'always' ELSE 'by default' END FROM col
    WHERE attidentity <> ''
UNION ALL SELECT 'column', name, CASE attgenerated WHEN '' THEN 'default' WHEN 's' THEN 'generated' ELSE 'generated, not stored' END,
    pg_get_expr(adbin, adrelid) FROM col JOIN pg_attrdef ON adrelid = relid AND adnum = attnum
UNION ALL SELECT 'column', name, 'statistics', attstattarget::text FROM col WHERE attstattarget >= 0
UNION ALL SELECT 'column', col.name, aspect, fact FROM col JOIN pg_type t ON t.oid = atttypid, LATERAL (
        VALUES ('storage', CASE WHEN attstorage <> typstorage THEN attstorage::text END),
            ('compression', nullif(attcompression::text, '')), ('options', (SELECT string_agg(entry, ', ') FROM unnest(attoptions) AS entry WHERE entry ~ '^n_distinct'))
    ) AS of_column (aspect, fact) WHERE relkind IN ('r', 'p') AND fact IS NOT NULL
UNION ALL SELECT 'constraint', format('%s on %s', conname, name), 'definition', pg_get_constraintdef(c.oid)
    FROM pg_constraint c JOIN relation ON relation.oid = conrelid WHERE contype NOT IN ('n', 't')
UNION ALL SELECT 'constraint', format('%s on %s', conname, name), 'triggers', 'disabled'
    FROM pg_trigger JOIN pg_constraint c ON c.oid = tgconstraint JOIN relation ON relation.oid = conrelid
    WHERE tgisinternal AND tgenabled <> 'O'
UNION ALL SELECT 'constraint', format('%s on %s', conname, name), 'kept by', coalesce((
        SELECT string_agg(proname, ', ' ORDER BY proname::text COLLATE "C") FROM pg_trigger JOIN pg_proc p ON p.oid = tgfoid
        WHERE tgconstraint = c.oid AND tgisinternal AND p.oid < 16384 AND tgrelid IN (conrelid, confrelid)), 'nothing')
    FROM pg_constraint c JOIN relation ON relation.oid = conrelid WHERE contype = 'f'
-- PostgreSQL asks these first whether there is anything to look up.
UNION ALL SELECT kind, name, 'checks', format('%s of %s', relchecks, number) FROM relation, LATERAL (
        SELECT count(*) FROM pg_constraint WHERE conrelid = relation.oid AND contype = 'c') AS of_relation (number)
    WHERE relchecks <> number
UNION ALL SELECT kind, name, 'triggers', 'skipped' FROM relation
    WHERE NOT relhastriggers AND EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation.oid)
UNION ALL SELECT kind, name, 'indexes', 'skipped' FROM relation
    WHERE NOT relhasindex AND EXISTS (SELECT FROM pg_index WHERE indrelid = relation.oid)
UNION ALL SELECT kind, name, 'rules', 'skipped' FROM relation
    WHERE NOT relhasrules AND EXISTS (SELECT FROM pg_rewrite WHERE ev_class = relation.oid)
UNION ALL SELECT 'constraint', format('%s on %s', conname, conrelid::regclass), 'references from outside', 'yes'
    FROM pg_constraint c JOIN relation ON relation.oid = confrelid
    WHERE contype = 'f' AND conrelid NOT IN (SELECT oid FROM relation)
UNION ALL SELECT 'index', format('%s on %s', c.relname, relation.name), aspect, fact
    FROM pg_index i JOIN relation ON relation.oid = indrelid JOIN pg_class c ON c.oid = indexrelid, LATERAL (
        VALUES ('definition', pg_get_indexdef(indexrelid)), ('valid', CASE WHEN NOT (indisvalid AND indisready) THEN 'no' END),
            ('kind', nullif(concat_ws(', ', CASE WHEN indisprimary THEN 'primary' END, CASE WHEN indisunique THEN 'unique' END,
                CASE WHEN indisexclusion THEN 'excluding' END, CASE WHEN NOT indimmediate THEN 'deferred' END,
                CASE WHEN indexprs IS NOT NULL THEN 'of expressions' END, CASE WHEN indpred IS NOT NULL THEN 'partial' END), '')),
            ('owner', CASE WHEN c.relowner <> relation.relowner THEN c.relowner::regrole::text END)
    ) AS of_index (aspect, fact) WHERE fact IS NOT NULL
-- What an index calls for each row, and nobody has reviewed.
UNION ALL SELECT DISTINCT 'index', format('%s on %s', c.relname, relation.name), 'calls', called
    FROM pg_index i JOIN relation ON relation.oid = indrelid JOIN pg_class c ON c.oid = indexrelid
    CROSS JOIN unnest(indclass::oid[]) AS class (oid) JOIN pg_opclass o ON o.oid = class.oid, LATERAL (
        SELECT 'operator-class ' || opcname WHERE o.oid >= 16384
        UNION ALL SELECT 'function ' || p.amproc::regprocedure FROM pg_amproc p
        WHERE amprocfamily = opcfamily AND (p.oid >= 16384 OR p.amproc >= 16384)
        UNION ALL SELECT 'operator ' || amopopr::regoperator FROM pg_amop a JOIN pg_operator op ON op.oid = amopopr
        WHERE amopfamily = opcfamily AND (a.oid >= 16384 OR amopopr >= 16384 OR oprcode >= 16384)
    ) AS reached (called)
UNION ALL SELECT 'index', format('%s on %s', c.relname, relation.name), 'statistics of ' || attname, attstattarget::text
    FROM pg_index i JOIN relation ON relation.oid = indrelid JOIN pg_class c ON c.oid = indexrelid
    JOIN pg_attribute a ON a.attrelid = indexrelid WHERE attstattarget >= 0
UNION ALL SELECT 'trigger', format('%s on %s', tgname, name), aspect, fact
    FROM pg_trigger t JOIN relation ON relation.oid = tgrelid, LATERAL (
        VALUES ('definition', pg_get_triggerdef(t.oid)), ('enabled', CASE tgenabled WHEN 'O' THEN NULL WHEN 'D' THEN 'no'
            WHEN 'R' THEN 'on replicas' ELSE 'always' END)
    ) AS of_trigger (aspect, fact) WHERE fact IS NOT NULL
    -- The triggers of a key are PostgreSQL's own, whatever is written beside one that is not.
    AND NOT (tgisinternal AND tgfoid < 16384 AND tgconstraint IN (SELECT oid FROM pg_constraint WHERE contype <> 't'))
UNION ALL SELECT 'rule', format('%s on %s', rulename, name), 'definition', pg_get_ruledef(w.oid)
    FROM pg_rewrite w JOIN relation ON relation.oid = ev_class WHERE rulename <> '_RETURN'
UNION ALL SELECT 'policy', format('%s on %s', polname, name), aspect, fact
    FROM pg_policy p JOIN relation ON relation.oid = polrelid, LATERAL (
        VALUES ('kind', format('%s, %s', CASE WHEN polpermissive THEN 'permissive' ELSE 'restrictive' END, CASE polcmd
            WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END)),
            ('roles', (SELECT string_agg(CASE x WHEN 0 THEN 'PUBLIC' ELSE x::regrole::text END, ', ' ORDER BY x::regrole::text COLLATE "C")
                FROM unnest(polroles) AS x)),
            ('using', pg_get_expr(polqual, polrelid)), ('check', pg_get_expr(polwithcheck, polrelid))
    ) AS of_policy (aspect, fact) WHERE fact IS NOT NULL
UNION ALL SELECT 'statistics', format('%s on %s', stxname, name), 'definition', pg_get_statisticsobjdef(s.oid)
    FROM pg_statistic_ext s JOIN relation ON relation.oid = stxrelid
UNION ALL SELECT 'type', format_type(t.oid, NULL), 'kind', typtype::text FROM pg_type t JOIN ours ON ours.oid = typnamespace
    WHERE typelem = 0 AND (typrelid = 0 OR (SELECT relkind FROM pg_class c WHERE c.oid = typrelid) = 'c')
UNION ALL SELECT 'schema', nspname, 'owner', CASE WHEN nspname = 'public' AND nspowner IN (10, (SELECT datdba FROM this))
    THEN 'pg_database_owner' ELSE nspowner::regrole::text END
    FROM pg_namespace WHERE oid IN (SELECT oid FROM ours) OR nspname = 'public'
-- Functions.
UNION ALL SELECT 'function', name, aspect, fact FROM routine, LATERAL (
        VALUES ('owner', proowner::regrole::text), ('language', lanname),
            ('arguments', nullif(pg_get_function_arguments(routine.oid), '')), ('returns', pg_get_function_result(routine.oid)),
            ('is', concat_ws(', ', CASE prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window' END,
                CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
                'parallel ' || CASE proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END,
                CASE WHEN proisstrict THEN 'strict' END, CASE WHEN prosecdef THEN 'security definer' END,
                CASE WHEN proleakproof THEN 'leakproof' END)),
            ('settings', (SELECT string_agg(entry, '; ' ORDER BY entry COLLATE "C") FROM unnest(proconfig) AS entry)),
            ('cost', procost::text), ('rows', nullif(prorows, 0)::text), ('support', nullif(prosupport::regproc::text, '-')), ('library', probin),
            ('body', coalesce(pg_get_function_sqlbody(routine.oid), prosrc))
    ) AS of_function (aspect, fact) WHERE fact IS NOT NULL
-- Grants: on things of ours, on things that came with PostgreSQL or an extension, on others.
UNION ALL SELECT kind, name, privilege_type || ' to', concat(CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
        CASE WHEN is_grantable THEN ', to be passed on' END,
        CASE WHEN grantor <> owner AND kind <> 'database' THEN ', by ' || grantor::regrole END)
    FROM acl, aclexplode(acl.acl) WHERE grantee <> owner
    AND NOT (kind = 'database' AND grantee IN (SELECT oid FROM person) AND privilege_type = 'CONNECT' AND NOT is_grantable)
UNION ALL SELECT CASE WHEN arrived.oid < 16384 AND acltype <> 'L' OR acltype = 'p' THEN 'built-in' ELSE 'outside' END, label, privilege_type || ' to',
        concat(CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
        CASE WHEN is_grantable THEN ', to be passed on' END)
    -- What is recorded as granted from the first can be written later: functions, and tables of secrets, have nothing there.
    FROM (SELECT arrived.*, CASE WHEN NOT (arrived.oid < 16384 AND sub = 0 AND (class = 'pg_proc'::regclass OR label IN (
            'table pg_authid', 'table pg_statistic', 'table pg_statistic_ext_data', 'table pg_largeobject',
            'table pg_user_mapping', 'view pg_shadow', 'view pg_file_settings', 'view pg_hba_file_rules')))
            AND (arrived.oid < 16384 OR EXISTS (SELECT FROM extended e WHERE e.classid = class AND e.objid = arrived.oid))
        THEN (SELECT initprivs FROM pg_init_privs i WHERE i.objoid = arrived.oid AND i.classoid = class AND i.objsubid = sub)
        END AS initial FROM arrived) AS arrived, aclexplode(acl) AS now
    WHERE acl::text IS DISTINCT FROM initial::text AND grantee <> owner AND NOT EXISTS (
        SELECT FROM aclexplode(coalesce(initial, CASE WHEN acltype NOT IN ('c', 'p') THEN acldefault(acltype, owner) END)) AS was
        WHERE was.grantee = now.grantee AND was.privilege_type = now.privilege_type AND was.is_grantable >= now.is_grantable)
    -- The information schema is for everybody, and is made after the first access lists are recorded.
    AND NOT (label ~ ' information_schema(\.|$)' AND arrived.oid < 16384 AND grantee = 0 AND privilege_type IN ('SELECT', 'USAGE')
        AND NOT is_grantable)
UNION ALL SELECT 'built-in', 'function ' || oid::regprocedure, privilege_type || ' to',
        concat(CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, CASE WHEN is_grantable THEN ', to be passed on' END)
    FROM guarded, aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee <> proowner
UNION ALL SELECT 'built-in', coalesce(label, 'function ' || oid::regprocedure), 'owner', owner::regrole::text FROM stranger WHERE oid < 16384 AND owner <> 10
UNION ALL SELECT 'built-in', 'language ' || lanname, 'owner', lanowner::regrole::text FROM pg_language
    WHERE oid < 16384 AND lanowner <> 10
UNION ALL SELECT 'built-in', 'schema ' || nspname, 'owner', nspowner::regrole::text FROM pg_namespace
    WHERE oid IN (SELECT oid FROM builtin) AND nspowner <> 10
UNION ALL SELECT 'built-in', what || ' ' || label, 'owner', owner::regrole::text FROM (
        SELECT 'operator' AS what, oid::regoperator::text AS label, oid, oprowner AS owner FROM pg_operator
        UNION ALL SELECT 'operator-class', opcname, oid, opcowner FROM pg_opclass
        UNION ALL SELECT 'operator-family', opfname, oid, opfowner FROM pg_opfamily
        UNION ALL SELECT 'collation', collname, oid, collowner FROM pg_collation
        UNION ALL SELECT 'conversion', conname, oid, conowner FROM pg_conversion
        UNION ALL SELECT 'text-search-configuration', cfgname, oid, cfgowner FROM pg_ts_config
        UNION ALL SELECT 'text-search-dictionary', dictname, oid, dictowner FROM pg_ts_dict
        UNION ALL SELECT 'tablespace', spcname, oid, spcowner FROM pg_tablespace
    ) AS named (what, label, oid, owner) WHERE oid < 16384 AND owner <> 10
-- A policy there would show the doctor, who is no superuser, another catalogue than the one that counts.
UNION ALL SELECT 'built-in', 'table ' || relname, 'row security', 'enabled' FROM pg_class
    WHERE oid < 16384 AND relnamespace IN (SELECT oid FROM builtin) AND (relrowsecurity OR relforcerowsecurity)
-- The others are those of the server's own libraries.
UNION ALL SELECT 'built-in', 'collation ' || collname, 'is', 'another' FROM pg_collation
    WHERE oid < 16384 AND collname IN ('default', 'C', 'POSIX') AND NOT (collisdeterministic
        AND collprovider = CASE collname WHEN 'default' THEN 'd' ELSE 'c' END::"char"
        AND concat_ws(' ', collcollate, collctype) = CASE collname WHEN 'default' THEN '' ELSE collname || ' ' || collname END)
-- Who may not end a process cannot end what a ticket has begun, or what a client was told has failed.
UNION ALL SELECT 'built-in', 'function ' || p.oid::regprocedure, 'kept from', rolname FROM pg_proc p, role
    WHERE p.oid < 16384 AND proname = 'pg_terminate_backend' AND rolname IN ('taskapp_api', 'taskapp_auth', 'taskapp_operator',
        'taskapp_warden') AND NOT has_function_privilege(role.oid, p.oid, 'EXECUTE')
UNION ALL SELECT 'server', 'this', 'setting ' || name, reset_val FROM pg_settings WHERE reset_val <> boot_val
    AND name IN ('row_security', 'session_replication_role', 'allow_system_table_mods', 'session_preload_libraries',
        'local_preload_libraries', 'transform_null_equals', 'ignore_system_indexes', 'search_path', 'lo_compat_privileges',
        'standard_conforming_strings', 'backslash_quote', 'debug_print_parse', 'debug_print_rewritten', 'debug_print_plan',
        'log_statement', 'log_min_duration_statement', 'log_min_duration_sample', 'log_transaction_sample_rate',
        'log_min_error_statement', 'log_parameter_max_length_on_error', 'password_encryption', 'createrole_self_grant', 'zero_damaged_pages',
        'ignore_checksum_failure', 'default_transaction_read_only', 'auto_explain.log_min_duration', 'pgaudit.log')
    -- These log no literals, or fewer than by default.
    AND (name, reset_val) NOT IN (('log_statement', 'ddl'), ('log_min_error_statement', 'log'),
        ('log_min_error_statement', 'fatal'), ('log_min_error_statement', 'panic'))
    AND (source IN ('configuration file', 'command line', 'environment variable', 'global')
        -- The doctor has set these itself meanwhile.
        OR name = ANY (string_to_array(current_setting('taskapp.settings_of_the_server', true), ' ')))
UNION ALL SELECT 'built-in', coalesce(label, 'function ' || oid::regprocedure), 'runs as', owner::regrole::text FROM stranger WHERE oid < 16384 AND definer
UNION ALL SELECT 'built-in', 'functions', aspect, p.oid::regprocedure::text
    FROM pg_proc p JOIN pg_language l ON l.oid = prolang, LATERAL (
        VALUES (CASE WHEN proleakproof THEN 'leakproof' END), (CASE WHEN lanname NOT IN ('internal', 'c') THEN 'in ' || lanname END)
    ) AS of_function (aspect) WHERE p.oid < 16384 AND pronamespace IN (SELECT oid FROM builtin) AND aspect IS NOT NULL
-- What is named here, since it is called by what is ours; the rest of what PostgreSQL brings is told of by its digest below.
UNION ALL SELECT 'built-in', 'function ' || p.oid::regprocedure, 'is', concat_ws(', ', CASE provolatile WHEN 'i' THEN 'immutable'
        WHEN 's' THEN 'stable' ELSE 'volatile' END, CASE WHEN proisstrict THEN 'strict' END, prosrc, probin,
        CASE WHEN lanname NOT IN ('internal', 'sql') THEN 'in ' || lanname END, pg_get_function_sqlbody(p.oid))
    FROM pg_proc p JOIN pg_language l ON l.oid = prolang
    WHERE p.oid IN (SELECT oid FROM called)
-- Which of them an operator calls is looked up when it runs.
UNION ALL SELECT 'built-in', 'operator ' || o.oid::regoperator, 'calls', oprcode::regprocedure::text
    FROM equal JOIN pg_operator o USING (oid)
-- The rest of what PostgreSQL brings, which only a superuser can change, as one digest of each kind. Access lists, owners and
-- what is leakproof are told of above; what initdb numbers as it comes is named.
UNION ALL SELECT 'built-in', kind, 'are', 'sha256 ' || left(encode(sha256(convert_to(string_agg(fact, E'\n' ORDER BY fact COLLATE "C"),
        'UTF8')), 'hex'), 16)
    FROM (
        SELECT 'other functions' AS kind, concat_ws(' ', proname, proargtypes, lanname, prorettype, proretset, proisstrict,
            provolatile, prosrc, probin, prosupport, proargdefaults, pg_get_function_sqlbody(p.oid)) AS fact
        FROM pg_proc p JOIN pg_language l ON l.oid = prolang
        WHERE p.oid < 10000 AND p.oid NOT IN (SELECT oid FROM called)
        UNION ALL SELECT 'aggregates', a::text FROM pg_aggregate a WHERE aggfnoid < 10000
        UNION ALL SELECT 'operators', concat_ws(' ', oid, oprname, oprnamespace, oprcanmerge, oprcanhash, oprleft, oprright, oprresult,
            oprcom, oprnegate, CASE WHEN oid NOT IN (SELECT oid FROM equal) THEN oprcode END, oprrest, oprjoin)
        FROM pg_operator WHERE oid < 10000
        UNION ALL SELECT 'casts', c::text FROM pg_cast c WHERE oid < 12000
        UNION ALL SELECT 'operators of families', a::text FROM pg_amop a WHERE oid < 12000
        UNION ALL SELECT 'functions of families', a::text FROM pg_amproc a WHERE oid < 12000
        UNION ALL SELECT 'operator classes', concat_ws(' ', oid, opcmethod, opcname, opcfamily, opcintype, opcdefault, opckeytype)
        FROM pg_opclass WHERE oid < 12000
        UNION ALL SELECT 'access methods', a::text FROM pg_am a WHERE oid < 10000
        UNION ALL SELECT 'types', concat_ws(' ', oid, typname, typnamespace, typlen, typbyval, typtype, typcategory, typispreferred,
            typdelim, typelem, typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, typalign, typstorage,
            typnotnull, typbasetype, typdefault)
        FROM pg_type WHERE oid < 10000
        UNION ALL SELECT 'languages', concat_ws(' ', lanname, lanispl, lanpltrusted, lanplcallfoid::regproc, laninline::regproc,
            lanvalidator::regproc)
        FROM pg_language WHERE oid < 16384
        UNION ALL SELECT 'first grants', concat_ws(' ', classoid::regclass, coalesce(c.relname, objoid::text), objsubid, grantee,
            privilege_type, is_grantable)
        FROM pg_init_privs i LEFT JOIN pg_class c ON classoid = 'pg_class'::regclass AND c.oid = objoid, aclexplode(initprivs)
        WHERE objoid < 12000 OR c.relnamespace = 'pg_catalog'::regnamespace
        UNION ALL SELECT 'conversions', concat_ws(' ', oid, conname, conforencoding, contoencoding, conproc, condefault)
        FROM pg_conversion WHERE oid < 10000
        UNION ALL SELECT 'text search', concat_ws(' ', oid, cfgname, cfgparser) FROM pg_ts_config WHERE oid < 10000
        UNION ALL SELECT 'text search', m::text FROM pg_ts_config_map m WHERE mapcfg < 10000
        UNION ALL SELECT 'text search', concat_ws(' ', oid, dictname, dicttemplate, dictinitoption) FROM pg_ts_dict WHERE oid < 10000
        UNION ALL SELECT 'text search', p::text FROM pg_ts_parser p WHERE oid < 10000
        UNION ALL SELECT 'text search', t::text FROM pg_ts_template t WHERE oid < 10000
        UNION ALL SELECT 'views and rules of ' || relnamespace::regnamespace, concat_ws(' ', relname, reloptions::text, ev_enabled,
            pg_get_ruledef(w.oid))
        FROM pg_rewrite w JOIN pg_class c ON c.oid = ev_class
        WHERE relnamespace IN (SELECT oid FROM builtin) AND ev_class < 16384
        AND (relnamespace <> 'pg_catalog'::regnamespace OR relname NOT IN ('pg_roles', 'pg_settings', 'pg_stats') OR rulename <> '_RETURN')
    ) AS built_in (kind, fact) GROUP BY kind
-- What the doctor itself asks.
UNION ALL SELECT 'built-in', 'view ' || relname, aspect, fact FROM pg_class c, LATERAL (
        VALUES ('definition', 'sha256 ' || left(encode(sha256(convert_to(pg_get_viewdef(c.oid), 'UTF8')), 'hex'), 16)),
            ('options', reloptions::text)
    ) AS of_view (aspect, fact) WHERE relnamespace = 'pg_catalog'::regnamespace
    AND relname IN ('pg_roles', 'pg_settings', 'pg_stats') AND fact IS NOT NULL
UNION ALL SELECT 'built-in', 'function ' || oid::regprocedure, 'settings', proconfig::text FROM pg_proc
    WHERE oid < 16384 AND proconfig IS NOT NULL
UNION ALL SELECT CASE WHEN room IN (SELECT oid FROM builtin) THEN 'added' ELSE 'outside' END, coalesce(label, 'function ' || oid::regprocedure),
        CASE WHEN definer THEN 'runs as' ELSE 'owner' END, owner::regrole::text
    FROM stranger WHERE oid >= 16384 AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = class AND e.objid = stranger.oid)
-- Its owner reads it without a grant: no difference is told of by this alone, it weighs the owner's.
UNION ALL SELECT 'outside', label, 'owner without powers', 'yes' FROM stranger, this
    WHERE stranger.oid >= 16384 AND has_rows AND owner <> datdba AND owner NOT IN (SELECT oid FROM pg_roles WHERE rolsuper)
    AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = class AND e.objid = stranger.oid)
UNION ALL SELECT 'outside', coalesce(label, 'function ' || oid::regprocedure), 'runs as', owner::regrole::text
    FROM stranger WHERE oid >= 16384 AND definer AND EXISTS (
        SELECT FROM extended e WHERE e.classid = class AND e.objid = stranger.oid)
-- Another name for a function that PostgreSQL keeps from everybody: one by its symbol, or an aggregate, whose owner is asked
-- whether it may call what the aggregate calls.
UNION ALL SELECT 'outside', 'function ' || p.oid::regprocedure, 'reaches', 'language ' || lanname
    FROM pg_proc p JOIN pg_language l ON l.oid = prolang
    WHERE p.oid >= 16384 AND NOT lanpltrusted AND prokind <> 'a' AND pronamespace NOT IN (SELECT oid FROM ours)
    AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
UNION ALL SELECT 'outside', 'function ' || p.oid::regprocedure, 'reaches', 'function ' || f.oid::regprocedure
    FROM pg_proc p JOIN pg_aggregate a ON aggfnoid = p.oid JOIN pg_proc f ON f.oid IN (aggtransfn, aggfinalfn, aggcombinefn,
        aggserialfn, aggdeserialfn, aggmtransfn, aggminvtransfn, aggmfinalfn)
    WHERE p.oid >= 16384 AND NOT EXISTS (SELECT FROM aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) WHERE grantee = 0)
    AND p.pronamespace NOT IN (SELECT oid FROM ours)
    AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
UNION ALL SELECT 'outside', 'schema ' || nspname, 'owner', nspowner::regrole::text FROM pg_namespace n
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public') AND oid NOT IN (SELECT oid FROM ours)
    AND NOT EXISTS (SELECT FROM extended e WHERE e.classid = 'pg_namespace'::regclass AND e.objid = n.oid)
UNION ALL SELECT CASE WHEN room = 0 OR room IN (SELECT oid FROM ours UNION SELECT oid FROM builtin) THEN 'added' ELSE 'outside' END,
        format('%s %s', what, label), 'is', 'new' FROM made
    WHERE NOT EXISTS (SELECT FROM extended e WHERE e.classid = made.class AND e.objid = made.oid)
-- What is beside all schemas.
UNION ALL SELECT 'extension', extname, 'owner', extowner::regrole::text FROM pg_extension
    WHERE extowner IN (SELECT oid FROM role UNION SELECT oid FROM person)
UNION ALL SELECT 'extension', extname, 'schema', nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
-- What belongs to an extension is taken to be its own, grants and all.
UNION ALL SELECT 'extension', extname, 'members', pg_describe_object(classid, objid, 0)
    FROM pg_depend d JOIN pg_extension e ON e.oid = refobjid
    WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND (extname = 'plpgsql' OR extname = 'pg_stat_statements'
        AND pg_describe_object(classid, objid, 0)
            !~ '^(function|view|type) ([a-z_]+\.)?pg_stat_statements(_info|_reset)?(\(.*\)|\[\])?$')
UNION ALL SELECT 'event-trigger', evtname, 'calls', concat_ws(', ', evtfoid::regprocedure, evtevent, evttags::text,
    CASE evtenabled WHEN 'D' THEN 'disabled' END) FROM pg_event_trigger
UNION ALL SELECT 'publication', pubname, 'tables', CASE WHEN puballtables THEN 'all tables' ELSE (
        SELECT coalesce(string_agg(DISTINCT format('%s.%s', schemaname, tablename), ', '), 'nothing')
        FROM pg_publication_tables t WHERE t.pubname = p.pubname) END FROM pg_publication p
UNION ALL SELECT 'subscription', subname, 'owner', subowner::regrole::text FROM pg_subscription, this WHERE subdbid = this.oid
UNION ALL SELECT 'replication-slot', slot_name, 'plugin', plugin FROM pg_replication_slots
    WHERE slot_type = 'logical' AND database = current_database() AND NOT temporary
UNION ALL SELECT 'security-label', concat_ws(' ', objtype, objname), 'provider', concat_ws(': ', provider, label)
    FROM pg_seclabels WHERE EXISTS (SELECT FROM pg_seclabel) OR EXISTS (SELECT FROM pg_shseclabel)
UNION ALL SELECT 'large-objects', 'owned by ' || lomowner::regrole, 'number', count(*)::text FROM pg_largeobject_metadata
    GROUP BY lomowner
UNION ALL SELECT 'default-privileges', format('of %s for %s', rolname, word), privilege_type || ' to',
        concat(CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, CASE WHEN is_grantable THEN ', to be passed on' END)
    FROM role CROSS JOIN (VALUES ('r'::"char", 'r'::"char", 'tables'), ('S', 's', 'sequences'), ('f', 'f', 'functions'),
        ('T', 'T', 'types'), ('n', 'n', 'schemas')) AS kinds (kind, builtin, word)
    LEFT JOIN pg_default_acl d ON defaclrole = role.oid AND defaclnamespace = 0 AND defaclobjtype = kind,
    aclexplode(coalesce(defaclacl, acldefault(builtin, role.oid))) WHERE grantee <> role.oid
UNION ALL SELECT 'default-privileges', format('of %s for %s%s', defaclrole::regrole, CASE defaclobjtype WHEN 'r' THEN 'tables'
        WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects'
        END, ' in ' || nullif(defaclnamespace::regnamespace::text, '-')),
        privilege_type || ' to',
        concat(CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, CASE WHEN is_grantable THEN ', to be passed on' END)
    FROM pg_default_acl, aclexplode(defaclacl) AS now WHERE grantee <> defaclrole
    AND (defaclnamespace <> 0 OR defaclrole NOT IN (SELECT oid FROM role) OR defaclobjtype = 'L')
    AND NOT (defaclnamespace = 0 AND defaclobjtype IN ('f', 'T') AND grantee = 0 AND NOT is_grantable)
-- The database and the roles.
UNION ALL SELECT 'database', 'this', aspect, fact FROM this, LATERAL (
        VALUES ('template', CASE WHEN datistemplate THEN 'yes' END),
            ('connection limit', CASE WHEN datconnlimit <> -1 THEN datconnlimit::text END),
            -- An administrator's, who may create roles, or a superuser's.
            ('owner', CASE WHEN datdba IN (SELECT oid FROM role UNION SELECT oid FROM person
                UNION SELECT oid FROM pg_roles WHERE NOT (rolsuper OR rolcreaterole)) THEN datdba::regrole::text END)
    ) AS of_database (aspect, fact) WHERE fact IS NOT NULL
UNION ALL SELECT 'role', rolname, 'is', concat_ws(', ', CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
        CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
        (SELECT string_agg(power, ', ' ORDER BY power COLLATE "C") FROM powers WHERE powers.oid = role.oid)) FROM role
UNION ALL SELECT 'role', rolname, 'connection limit', rolconnlimit::text FROM role WHERE rolconnlimit <> -1
UNION ALL SELECT 'role', rolname, 'valid until', rolvaliduntil::text FROM role WHERE isfinite(rolvaliduntil)
UNION ALL SELECT CASE setrole WHEN 0 THEN 'database' ELSE 'role' END,
        CASE WHEN setrole = 0 THEN 'this' ELSE setrole::regrole::text END,
        format('setting %s%s', split_part(entry, '=', 1), CASE WHEN setrole = 0 AND setdatabase = 0 THEN ' of all databases'
            WHEN setrole <> 0 AND setdatabase <> 0 THEN ' in this database' END),
        regexp_replace(entry, '^[^=]*=', '')
    FROM pg_db_role_setting, unnest(setconfig) AS entry, this
    WHERE setdatabase IN (0, this.oid) AND (setrole = 0 OR setrole IN (SELECT oid FROM role))
    -- Every role of ours has a time zone of its own, so the database's is its owner's to choose.
    AND NOT (setrole = 0 AND entry ~* '^timezone=')
UNION ALL SELECT 'membership', format('of %s in %s', who, what), 'options', coalesce(nullif(
        concat_ws(', ', CASE WHEN admin THEN 'ADMIN' END, CASE WHEN inherits THEN 'INHERIT' END, CASE WHEN sets THEN 'SET' END),
        ''), 'none')
    FROM member, this WHERE (roleid IN (SELECT oid FROM role UNION SELECT oid FROM person) OR member IN (SELECT oid FROM role))
    -- Who makes a role in PostgreSQL 16 or later may pass it on, as the database's owner does here: for that it is recorded
    -- that the bootstrap superuser says so.
    AND NOT (admin AND NOT inherits AND NOT sets AND grantor = 10 AND current_setting('server_version_num')::int >= 160000
        AND member = datdba)
    AND NOT (who = 'taskapp_warden' AND roleid IN (SELECT oid FROM person) AND inherits AND NOT admin
        AND (NOT sets OR current_setting('server_version_num')::int < 160000))
    AND NOT (member IN (SELECT oid FROM person) AND NOT admin AND NOT inherits AND sets
        AND what IN ('taskapp_dba', 'taskapp_auditor', 'taskapp_breakglass'))
UNION ALL SELECT 'membership', format('of %s in %s', who, what), 'reaches',
        CASE WHEN what ~ '^pg_' THEN what ELSE (SELECT string_agg(power, ', ' ORDER BY power COLLATE "C") FROM powers WHERE oid = roleid) END
    FROM member, this WHERE member.member >= 16384 AND member NOT IN (SELECT oid FROM role)
    AND roleid NOT IN (SELECT oid FROM role UNION SELECT oid FROM person)
    AND (what ~ '^pg_' OR roleid IN (SELECT oid FROM powers WHERE power <> 'CREATEDB'))
    AND NOT (admin AND NOT inherits AND NOT sets AND grantor = 10 AND member = datdba)
UNION ALL
-- A built-in role with the rights of another passes them on to all of its members.
SELECT 'membership', format('of %s in %s', who, what), 'reaches', what FROM member
    WHERE member.member < 16384 AND member.member <> 10 AND roleid NOT IN (SELECT oid FROM role UNION SELECT oid FROM person)
-- The database's owner makes roles and databases; only a superuser may own it and pass policies as well.
UNION ALL SELECT 'login', rolname, 'powers', power FROM pg_roles JOIN powers USING (oid), this
    WHERE pg_roles.oid NOT IN (SELECT oid FROM role) AND pg_roles.oid <> 10
    AND NOT (pg_roles.oid = datdba AND (rolsuper OR power IN ('CREATEROLE', 'CREATEDB')))
UNION ALL SELECT 'login', rolname, 'powers', 'LOGIN' FROM pg_roles WHERE oid < 16384 AND oid <> 10 AND rolcanlogin
