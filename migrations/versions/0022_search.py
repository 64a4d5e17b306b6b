"""Search through words that the application folds, in place of a tsvector.

Under RLS no text index serves a query, and the parser behind a tsvector loses words: `milk/eggs` is a path to it, and
`JIRA-4711` ends in a negative number. In SQL the folding cannot be done well: classes of letters depend on LC_CTYPE.

Tasks that exist get their words here. A copy of the folding stands below, so that this revision stays what it was.

Revision ID: 0022
"""

import json
import re
import unicodedata
from typing import NamedTuple

from alembic import op
from sqlalchemy import text as sql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_BATCH = 1000
_SOME = sql("""
SELECT user_id, id, title, notes, tags FROM app.tasks
WHERE (user_id, id) > (CAST(:user_id AS uuid), CAST(:id AS uuid)) ORDER BY user_id, id LIMIT :batch
""")
_WRITE = sql("""
UPDATE app.tasks t SET title_words = n.title_words, notes_words = n.notes_words, tag_words = n.tag_words
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS n (user_id uuid, id uuid, title_words text, notes_words text, tag_words text[])
WHERE t.user_id = n.user_id AND t.id = n.id
""")


def upgrade() -> None:
    op.execute("""
    ALTER TABLE app.tasks
        DROP COLUMN words,
        ADD COLUMN title_words text CHECK (char_length(title_words) <= 9500),
        -- In bytes, which needs no reading of long notes at each update of the row.
        ADD COLUMN notes_words text CHECK (octet_length(notes_words) <= 1248000),
        ADD COLUMN tag_words   text[],
        ADD CONSTRAINT tasks_tag_words_check CHECK (cardinality(tag_words) = cardinality(tags));
    DROP FUNCTION app.words(text, text, text[]);
    ALTER TABLE app.tasks
        ALTER title_words SET STATISTICS 0, ALTER notes_words SET STATISTICS 0, ALTER tag_words SET STATISTICS 0;
    COMMENT ON COLUMN app.tasks.title_words IS
        'The words of the title, as the application folds them for searches. NULL: not folded yet.';
    COMMENT ON COLUMN app.tasks.notes_words IS
        'The words of the notes, as the application folds them for searches. NULL: no notes, or not folded yet.';
    COMMENT ON COLUMN app.tasks.tag_words IS
        'The words of each tag, as the application folds them for searches. NULL: not folded yet.';
    GRANT SELECT (title_words, notes_words, tag_words), INSERT (title_words, notes_words, tag_words),
          UPDATE (title_words, notes_words, tag_words)
        ON app.tasks TO taskapp_api;
    GRANT SELECT (title_words, notes_words, tag_words) ON app.tasks TO taskapp_dba, taskapp_breakglass;
    """)
    _fold_existing()
    op.execute(r"""
    CREATE FUNCTION app.rough_words(written text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
    BEGIN
        RETURN btrim(regexp_replace(replace(lower(regexp_replace(normalize(written, NFKD), '[\u0300-\u036f]', '', 'g')),
                                            'ß', 'ss'),
                                    '[\u0001-/:-@\[-`{-\u00bf]+', ' ', 'g'));
    END $$;
    COMMENT ON FUNCTION app.rough_words IS
        'The words of a text that SQL wrote without the application, for searches: what can be folded in SQL.';

    CREATE FUNCTION app.forget_words() RETURNS trigger
    LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.title IS DISTINCT FROM OLD.title AND NEW.title_words IS NOT DISTINCT FROM OLD.title_words THEN
            NEW.title_words := NULL;
        END IF;
        IF NEW.notes IS DISTINCT FROM OLD.notes AND NEW.notes_words IS NOT DISTINCT FROM OLD.notes_words THEN
            NEW.notes_words := NULL;
        END IF;
        IF NEW.tags IS DISTINCT FROM OLD.tags AND NEW.tag_words IS NOT DISTINCT FROM OLD.tag_words THEN
            NEW.tag_words := NULL;
        END IF;
        RETURN NEW;
    END $$;
    COMMENT ON FUNCTION app.forget_words IS 'Forget the words of what SQL changes without the application.';
    -- The application writes words along with each text. They stay the same where only the case of the text changes.
    CREATE TRIGGER tasks_forget_words BEFORE UPDATE OF title, notes, tags ON app.tasks
        FOR EACH ROW WHEN (current_user <> 'taskapp_api' OR cardinality(NEW.tag_words) <> cardinality(NEW.tags))
        EXECUTE FUNCTION app.forget_words();

    CREATE FUNCTION app.splice_words(words text[], place integer, instead text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN words IS NOT NULL THEN
        words[1:place - 1] || CASE WHEN instead IS NULL THEN '{}'::text[] ELSE ARRAY[instead] END || words[place + 1:]
    END;
    COMMENT ON FUNCTION app.splice_words IS 'An array with another item in this place, or without one.';
    GRANT EXECUTE ON FUNCTION app.rough_words, app.splice_words TO taskapp_api;

    DROP FUNCTION app.rename_tag(text, text, text, bigint);
    CREATE FUNCTION app.rename_tag(old_key text, new_key text, new_name text, new_words text, counted bigint)
    RETURNS TABLE (name text, task_count bigint)
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        old_name text;
    BEGIN
        PERFORM app.take_turn();
        SELECT t.name INTO old_name FROM app.tags t WHERE t.key = old_key;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        IF counted <> (SELECT count(*) FROM app.tasks t WHERE t.tags @> ARRAY[old_name] AND t.deleted_at IS NULL) THEN
            RAISE EXCEPTION 'it is in another number of tasks' USING ERRCODE = 'TA003', CONSTRAINT = 'tags_task_count';
        END IF;
        IF new_key <> old_key THEN
            SELECT t.name INTO name FROM app.tags t WHERE t.key = new_key;
        END IF;
        IF name IS NOT NULL THEN
            DELETE FROM app.tags t WHERE t.key = old_key;
        ELSE
            name := coalesce(new_name, old_name);
            UPDATE app.tags t SET key = coalesce(new_key, old_key), name = rename_tag.name
            WHERE t.key = old_key AND rename_tag.name <> old_name;
        END IF;
        UPDATE app.tasks t SET
            tags = CASE WHEN t.tags @> ARRAY[name] THEN array_remove(t.tags, old_name)
                        ELSE array_replace(t.tags, old_name, name) END,
            tag_words = app.splice_words(t.tag_words, array_position(t.tags, old_name),
                                         CASE WHEN t.tags @> ARRAY[name] THEN NULL ELSE new_words END),
            version = t.version + 1,
            updated_at = now()
        WHERE t.tags @> ARRAY[old_name] AND name <> old_name;
        task_count := (SELECT count(*) FROM app.tasks t WHERE t.tags @> ARRAY[name] AND t.deleted_at IS NULL);
        RETURN NEXT;
    END $$;
    COMMENT ON FUNCTION app.rename_tag IS
        'Give a tag another name, in its place in every task; where that is the name of another one, they become one. NULL'
        ' leaves the name. Nothing when there is no such tag. Raises TA003 when as many tasks as counted do not have it.';

    CREATE OR REPLACE FUNCTION app.remove_tag(gone text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        old_name text;
    BEGIN
        PERFORM app.take_turn();
        DELETE FROM app.tags t WHERE t.key = gone RETURNING t.name INTO old_name;
        UPDATE app.tasks t SET
            tags = array_remove(t.tags, old_name),
            tag_words = app.splice_words(t.tag_words, array_position(t.tags, old_name), NULL),
            version = t.version + 1,
            updated_at = now()
        WHERE t.tags @> ARRAY[old_name];
        RETURN old_name IS NOT NULL;
    END $$;
    GRANT EXECUTE ON FUNCTION app.rename_tag TO taskapp_api;
    """)


def _fold_existing() -> None:
    """Write the words of all tasks, in batches."""
    nil = "00000000-0000-0000-0000-000000000000"
    last = {"user_id": nil, "id": nil}
    bind = op.get_bind()
    op.execute("ALTER TABLE app.tasks NO FORCE ROW LEVEL SECURITY; SET LOCAL row_security = off")
    while rows := bind.execute(_SOME, {**last, "batch": _BATCH}).all():
        folded = [
            {
                "user_id": str(row.user_id),
                "id": str(row.id),
                "title_words": _words(row.title),
                "notes_words": None if row.notes is None else _words(row.notes),
                "tag_words": [_words(tag.casefold()) for tag in row.tags],
            }
            for row in rows
        ]
        bind.execute(_WRITE, {"rows": json.dumps(folded)})
        last = {name: folded[-1][name] for name in last}
    op.execute("SET LOCAL row_security = on; ALTER TABLE app.tasks FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.execute(r"""
    DROP TRIGGER tasks_forget_words ON app.tasks;
    DROP FUNCTION app.forget_words();
    DROP FUNCTION app.rough_words(text);
    DROP FUNCTION app.rename_tag(text, text, text, text, bigint);
    CREATE FUNCTION app.rename_tag(old_key text, new_key text, new_name text, counted bigint)
    RETURNS TABLE (name text, task_count bigint)
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        old_name text;
    BEGIN
        PERFORM app.take_turn();
        SELECT t.name INTO old_name FROM app.tags t WHERE t.key = old_key;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        IF counted <> (SELECT count(*) FROM app.tasks t WHERE t.tags @> ARRAY[old_name] AND t.deleted_at IS NULL) THEN
            RAISE EXCEPTION 'it is in another number of tasks' USING ERRCODE = 'TA003', CONSTRAINT = 'tags_task_count';
        END IF;
        IF new_key <> old_key THEN
            SELECT t.name INTO name FROM app.tags t WHERE t.key = new_key;
        END IF;
        IF name IS NOT NULL THEN
            DELETE FROM app.tags t WHERE t.key = old_key;
        ELSE
            name := coalesce(new_name, old_name);
            UPDATE app.tags t SET key = coalesce(new_key, old_key), name = rename_tag.name
            WHERE t.key = old_key AND rename_tag.name <> old_name;
        END IF;
        UPDATE app.tasks t SET
            tags = CASE WHEN t.tags @> ARRAY[name] THEN array_remove(t.tags, old_name)
                        ELSE array_replace(t.tags, old_name, name) END,
            version = t.version + 1,
            updated_at = now()
        WHERE t.tags @> ARRAY[old_name] AND name <> old_name;
        task_count := (SELECT count(*) FROM app.tasks t WHERE t.tags @> ARRAY[name] AND t.deleted_at IS NULL);
        RETURN NEXT;
    END $$;
    COMMENT ON FUNCTION app.rename_tag IS
        'Give a tag another name, in its place in every task; where that is the name of another one, they become one. NULL'
        ' leaves the name. Nothing when there is no such tag. Raises TA003 when as many tasks as counted do not have it.';

    CREATE OR REPLACE FUNCTION app.remove_tag(gone text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        old_name text;
    BEGIN
        PERFORM app.take_turn();
        DELETE FROM app.tags t WHERE t.key = gone RETURNING t.name INTO old_name;
        UPDATE app.tasks t SET tags = array_remove(t.tags, old_name), version = t.version + 1, updated_at = now()
        WHERE t.tags @> ARRAY[old_name];
        RETURN old_name IS NOT NULL;
    END $$;
    GRANT EXECUTE ON FUNCTION app.rename_tag TO taskapp_api;
    DROP FUNCTION app.splice_words(text[], integer, text);

    CREATE FUNCTION app.words(title text, notes text, tags text[]) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_tsvector('pg_catalog.simple', concat_ws(' ', title, notes, array_to_string(tags, ' ')));
    COMMENT ON FUNCTION app.words IS 'What a search looks through.';
    GRANT EXECUTE ON FUNCTION app.words TO taskapp_api;
    ALTER TABLE app.tasks
        DROP COLUMN title_words, DROP COLUMN notes_words, DROP COLUMN tag_words,
        ADD COLUMN words tsvector GENERATED ALWAYS AS (app.words(title, notes, tags)) STORED NOT NULL;
    ALTER TABLE app.tasks ALTER words SET STATISTICS 0;
    COMMENT ON COLUMN app.tasks.words IS 'Title, notes and tags, for searches.';
    GRANT SELECT (words) ON app.tasks TO taskapp_api, taskapp_dba, taskapp_breakglass;
    """)


# The folding, as it was at the time of this revision.

# Scripts whose marks are accents or vowels that people leave out. Without its marks, a Hindi or Thai word is another word.
_UNMARKED = frozenset({"LATIN", "GREEK", "CYRILLIC", "HEBREW", "ARABIC"})
# Scripts that are written without spaces. Han and kana make up words together.
_UNSPACED = frozenset({"CJK", "THAI", "LAO", "KHMER", "MYANMAR"})
_CJK = frozenset({"CJK", "KANGXI", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HENTAIGANA", "BOPOMOFO"})
_SPACE, _MARK, _DIGIT, _EMOJI, _NOTHING = "space", "mark", "digit", "emoji", "nothing"
_APART = frozenset({*_UNSPACED, _EMOJI})
# Letters that are not decomposed by NFKD. `LATIN SMALL LETTER L WITH STROKE` and the like follow from their names.
_LETTERS = {
    **{"æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ŋ": "n", "ı": "i", "ȷ": "j", "ĸ": "k"},
    # As people type them on keyboards for Arabic, Persian and Urdu.
    **{"ة": "ه", "ۃ": "ه", "ہ": "ه", "ھ": "ه", "ە": "ه", "ى": "ي", "ی": "ي", "ک": "ك", "ٱ": "ا"},
}
_WITH = re.compile("LATIN SMALL LETTER ([A-Z]) WITH ")
# Default_Ignorable_Code_Point, but for what has the category Cf; and a blank of its own kind, the Arabic tatweel.
_IGNORED = re.compile(
    "[\u034f\u0640\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U0001f3fb-\U0001f3ff"
    "\U000e0000-\U000e0fff]"
)
_PICTURE = re.compile("[\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")
# Emoji that are signs of mathematics or punctuation to Unicode. A plain arrow between two words is none.
_SIGN = re.compile("[\u25fb-\u25fe\u2934\u2935\u303d]")
_HAN_PLANES = re.compile("[\U00020000-\U0003ffff]")
_ASCII_WORD = re.compile("[a-z0-9]+")
_FLAG = re.compile("([\U0001f1e6-\U0001f1ff]) ([\U0001f1e6-\U0001f1ff])")


class _Piece(NamedTuple):
    """What becomes of a character, and the script it belongs to, or what else it is."""

    text: str
    script: str


class _Pieces(dict[str, _Piece]):
    """The characters met so far."""

    def __missing__(self, char: str) -> _Piece:
        self[char] = piece = _piece(char)
        return piece


_PIECES = _Pieces()


def _words(text: str) -> str:
    """Return the words of a text, as the application folded them at the time of this revision."""
    if text.isascii():
        return " ".join(_ASCII_WORD.findall(text.lower()))
    parts: list[str] = []
    before = _SPACE
    for char in unicodedata.normalize("NFKD", text):
        piece, script = _PIECES[char]
        if script == _NOTHING:
            continue
        if script == _MARK:
            if before not in _UNMARKED and before not in (_SPACE, _DIGIT, _EMOJI):
                parts.append(piece)
            continue
        if (script != before or script == _EMOJI) and _ends(before, script):
            parts.append(" ")
        parts.append(piece)
        before = script
    folded = unicodedata.normalize("NFC", " ".join("".join(parts).split()))
    return _FLAG.sub(r"\1\2", folded)


def _ends(before: str, script: str) -> bool:
    """Tell whether a word ends between two characters, of which the second is of another script or an emoji."""
    if _SPACE in (before, script):
        return False
    # Digits belong to the word around them, such as mp3, unless nothing shows where that word begins and ends.
    return _DIGIT not in (before, script) or before in _APART or script in _APART


def _piece(char: str) -> _Piece:
    category, name = unicodedata.category(char), unicodedata.name(char, "")
    if category == "Cf" or _IGNORED.match(char):
        return _Piece("", _NOTHING)
    if category[0] == "M":
        return _Piece(char, _MARK)
    if category[0] == "N" and not name.startswith(("CJK", "IDEOGRAPHIC", "HANGZHOU")):
        value = unicodedata.decimal(char, -1)
        return _Piece(str(value) if value >= 0 else char, _DIGIT)
    if category == "Cn" and _HAN_PLANES.match(char):
        # Of a version of Unicode that is newer than Python's.
        return _Piece(char, "CJK")
    if (category in ("So", "Cn") and _PICTURE.match(char)) or _SIGN.match(char):
        return _Piece(char, _EMOJI)
    if category[0] not in "LN" or name.startswith("MODIFIER LETTER"):
        return _Piece(" ", _SPACE)
    folded = "".join(
        _LETTERS.get(one) or _base(one)
        for one in unicodedata.normalize("NFKD", char.casefold())
        if unicodedata.category(one)[0] != "M"
    )
    script = name.partition(" ")[0]
    return _Piece(folded, "CJK" if script in _CJK else script)


def _base(letter: str) -> str:
    found = _WITH.match(unicodedata.name(letter, ""))
    return found[1].lower() if found else letter
