"""Making room in an order without touching what is far from the gap.

Until now, when there was no room between two neighbours, all of their siblings were given new ranks: one move among 50,000
tasks took seconds, and changed every one of their ETags.

Revision ID: 0013
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_PLACE_LIST = """
    CREATE OR REPLACE FUNCTION app.place_list(moved uuid, behind uuid, at_end boolean) RETURNS text
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        -- Byte order here as in the column, whatever the database's own.
        own text COLLATE "C";
        low text COLLATE "C";
        next record;
        rank text;
    BEGIN
        PERFORM app.take_turn();
        FOR attempt IN 1..2 LOOP
            IF at_end THEN
                SELECT l.id, l.position INTO behind, low FROM app.lists l
                WHERE l.id <> moved ORDER BY l.position DESC, l.id DESC LIMIT 1;
            ELSIF behind IS NOT NULL THEN
                SELECT l.position INTO low FROM app.lists l WHERE l.id = behind AND l.id <> moved;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'there is no such list' USING ERRCODE = 'TA003', CONSTRAINT = 'lists_after';
                END IF;
            END IF;
            SELECT l.id, l.position INTO next FROM app.lists l
            WHERE l.id <> moved AND (behind IS NULL OR (l.position, l.id) > (low, behind))
            ORDER BY l.position, l.id LIMIT 1;
            SELECT l.position INTO own FROM app.lists l WHERE l.id = moved;
            IF (behind IS NULL OR (low, behind) < (own, moved))
                AND (next.id IS NULL OR (own, moved) < (next.position, next.id)) THEN
                RETURN own;
            END IF;
            rank := app.rank_for(low, next.position);
            EXIT WHEN rank IS NOT NULL;
{room}        END LOOP;
        RETURN rank;
    END $$;
    COMMENT ON FUNCTION app.place_list IS
        'The rank that puts a list behind another one, first, or at the end; its own when it is there. Makes room by giving'
        ' {others} new ranks. Raises TA003.';
"""
_PLACE_TASK = """
    CREATE OR REPLACE FUNCTION app.place_task(moved uuid, list uuid, parent uuid, behind uuid, at_end boolean) RETURNS text
    -- Which of the two conditions of app.siblings holds is known only when it is called.
    LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_custom_plan AS $$
    DECLARE
        own text COLLATE "C";
        low text COLLATE "C";
        next record;
        rank text;
    BEGIN
        PERFORM app.take_turn();
        FOR attempt IN 1..2 LOOP
            IF at_end THEN
                SELECT s.id, s.position INTO behind, low FROM app.siblings(list, parent) s
                WHERE s.id <> moved ORDER BY s.position DESC, s.id DESC LIMIT 1;
            ELSIF behind IS NOT NULL THEN
                SELECT s.position INTO low FROM app.siblings(list, parent) s WHERE s.id = behind AND s.id <> moved;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'there is no such task there' USING ERRCODE = 'TA003', CONSTRAINT = 'tasks_after';
                END IF;
            END IF;
            SELECT s.id, s.position INTO next FROM app.siblings(list, parent) s
            WHERE s.id <> moved AND (behind IS NULL OR (s.position, s.id) > (low, behind))
            ORDER BY s.position, s.id LIMIT 1;
            SELECT s.position INTO own FROM app.siblings(list, parent) s WHERE s.id = moved;
            IF own IS NOT NULL AND (behind IS NULL OR (low, behind) < (own, moved))
                AND (next.id IS NULL OR (own, moved) < (next.position, next.id)) THEN
                RETURN own;
            END IF;
            rank := app.rank_for(low, next.position);
            EXIT WHEN rank IS NOT NULL;
{room}        END LOOP;
        RETURN rank;
    END $$;
    COMMENT ON FUNCTION app.place_task IS
        'The rank that puts a task behind another one of a list and parent, first, or at the end; its own when it is there.'
        ' Makes room by giving {others} new ranks. Raises TA003.';
"""

# A rank of 32 digits has room on either side. Between the nearest two such that enclose the gap there are those that made it
# narrow, a few hundred perhaps: they, and the two at the gap, are spread evenly behind one rank in the middle.
_ROOM = """\
            DECLARE
                floor text COLLATE "C";
                ceiling text COLLATE "C";
                middle text;
            BEGIN
                SELECT s.position INTO floor FROM {siblings}
                WHERE s.id <> moved AND s.position < low AND char_length(s.position) <= 32 ORDER BY s.position DESC LIMIT 1;
                SELECT s.position INTO ceiling FROM {siblings}
                WHERE s.id <> moved AND s.position > next.position AND char_length(s.position) <= 32
                ORDER BY s.position LIMIT 1;
                middle := app.rank_between(floor, ceiling);
                -- 13537086546263551 is 62^9 - 1, the largest of nine digits.
                UPDATE app.{table} t
                SET position = middle || app.rank_digits(13537086546263551 / (fresh.all_of_them + 1) * fresh.n),
                    version = version + 1, updated_at = now()
                FROM (SELECT s.id, row_number() OVER (ORDER BY s.position, s.id) AS n, count(*) OVER () AS all_of_them
                      FROM {siblings} WHERE s.id <> moved
                          AND (floor IS NULL OR s.position > floor) AND (ceiling IS NULL OR s.position < ceiling)) AS fresh
                WHERE t.id = fresh.id;
            END;
"""

# As 0008 and 0009 have them.
_ROOM_OF_LISTS_BEFORE = """\
            UPDATE app.lists l SET position = 'a' || app.rank_digits(n), version = version + 1, updated_at = now()
            FROM (SELECT o.id, row_number() OVER (ORDER BY o.position, o.id) AS n FROM app.lists o
                  WHERE o.id <> moved) AS fresh
            WHERE l.id = fresh.id;
"""
_ROOM_OF_TASKS_BEFORE = """\
            UPDATE app.tasks t SET position = 'a' || app.rank_digits(n), version = version + 1, updated_at = now()
            FROM (SELECT s.id, row_number() OVER (ORDER BY s.position, s.id) AS n
                  FROM app.siblings(list, parent) s WHERE s.id <> moved) AS fresh
            WHERE t.id = fresh.id;
"""


def upgrade() -> None:
    near = "those near the gap"
    of_lists = _ROOM.format(siblings="app.lists s", table="lists")
    of_tasks = _ROOM.format(siblings="app.siblings(list, parent) s", table="tasks")
    op.execute(_PLACE_LIST.format(room=of_lists, others=near))
    op.execute(_PLACE_TASK.format(room=of_tasks, others=near))


def downgrade() -> None:
    op.execute(_PLACE_TASK.format(room=_ROOM_OF_TASKS_BEFORE, others="all others"))
    op.execute(_PLACE_LIST.format(room=_ROOM_OF_LISTS_BEFORE, others="all others"))
