"""Rows of any table whose texts name the address of an erased photo, and what is left of them without it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

Said = Mapping[str, list[str]]

# Whatever tables there are: a list of them would miss the next one. A task's own address column is no text, and is
# emptied with the task; keys and generated columns hold no sentences.
_TEXTS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
        AND has_table_privilege(c.oid, 'UPDATE')
        AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attname <> 'photo_url'
        AND format_type(a.atttypid, NULL) IN ('text', 'text[]', 'jsonb')
        AND NOT EXISTS (
            SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey))
    ORDER BY 1, 2"""
_GO_AND_STAY = {form: f"%({form})s::text[], %({form}_others)s::text[]" for form in ("plain", "json")}
# For each column type, how it shows addresses, and what is left of a value without them.
_SAID = {
    "text": ("{0}", f"struck({{0}}, {_GO_AND_STAY['plain']})", "plain"),
    "text[]": (
        "array_to_string({0}, ' ')",
        f"ARRAY(SELECT struck(one, {_GO_AND_STAY['plain']}) FROM unnest({{0}}) AS one)",
        "plain",
    ),
    "jsonb": ("{0}::text", f"struck({{0}}::text, {_GO_AND_STAY['json']})::jsonb", "json"),
}


@dataclass(frozen=True)
class Texts:
    """A table's columns of text with their types."""

    table: str
    columns: Sequence[tuple[str, str]]

    @property
    def naming(self) -> sql.Composed:
        """Rows that say one of the addresses; needs `said`."""
        return sql.SQL("SELECT ctid FROM {} WHERE {} AND ({})").format(self._at, self._may_name, self._says)

    @property
    def found(self) -> sql.Composed:
        """Those of which anything would be struck; needs `said` with others."""
        where = (self._at, self._may_name, self._says, self._changes)
        return sql.SQL("SELECT ctid FROM {} WHERE {} AND ({}) AND ({})").format(*where)

    @property
    def strike(self) -> sql.Composed:
        """Of the `rows` that were found, by their places."""
        without = sql.SQL(", ").join(sql.SQL(f"{{0}} = {left}").format(column) for column, (_, left, _) in self._named)
        changes = (self._at, without, self._changes)
        return sql.SQL("UPDATE {} SET {} WHERE ctid = ANY (%(rows)s::tid[]) AND ({})").format(*changes)

    @property
    def _at(self) -> sql.Identifier:
        return sql.Identifier(self.table)

    @property
    def _named(self) -> list[tuple[sql.Identifier, tuple[str, str, str]]]:
        return [(sql.Identifier(name), _SAID[kind]) for name, kind in self.columns]

    @property
    def _may_name(self) -> sql.Composable:
        """As the indexes `…_naming_s3` of large tables have it: only rows with the address of anything are read."""
        if any(kind == "text[]" for _, kind in self.columns):
            return sql.SQL("true")
        texts = (sql.SQL(f"COALESCE({said}, '')").format(column) for column, (said, _, _) in self._named)
        return sql.SQL("strpos({}, 's3://') > 0").format(sql.SQL(" || ' ' || ").join(texts))

    @property
    def _says(self) -> sql.Composed:
        return sql.SQL(" OR ").join(
            sql.SQL(f"EXISTS (SELECT FROM unnest(%({form})s) AS one WHERE strpos({said}, one) > 0)").format(column)
            for column, (said, _, form) in self._named
        )

    @property
    def _changes(self) -> sql.Composed:
        return sql.SQL(" OR ").join(sql.SQL(f"{{0}} <> {left}").format(column) for column, (_, left, _) in self._named)


def texts_of_all_tables(cursor: Cursor) -> Iterator[Texts]:
    cursor.execute(_TEXTS)
    for table, columns in groupby(cursor.fetchall(), key=lambda row: row[0]):
        yield Texts(table, [(name, kind) for _, name, kind in columns])


def said(addresses: Sequence[str], others: Sequence[str] = ()) -> Said:
    """`addresses` as texts and JSON say them, and `others` that begin with one of them and stay."""
    forms = {"plain": list(addresses), "plain_others": list(others)}
    return forms | {"json": _as_json(addresses), "json_others": _as_json(others)}


def _as_json(addresses: Sequence[str]) -> list[str]:
    return [json.dumps(one, ensure_ascii=False)[1:-1] for one in addresses]
