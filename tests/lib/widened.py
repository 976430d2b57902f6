"""A migration as later ones may be: what functions return gets one more column.

    sql(widened("message_send"))    # statements, in the database of the test as it is now
"""
from chat import *

COLUMNS = """select format('%s|%s|%s|%s', pg_get_function_arguments(p.oid), pg_get_function_identity_arguments(p.oid),
    pg_get_function_result(p.oid), (select string_agg('$' || n, ', ') from generate_series(1, pronargs) n))
    from pg_proc p where p.oid::regproc::text = 'chatd_api.{name}'"""


def widened(*names):
    """The functions of chatd_api made anew, each above the one that was there: in a schema of its own,
    since it names its parameters by its name."""
    statements = ["create schema if not exists earlier"]
    for name in names:
        arguments, identity, result, given = sql(COLUMNS.format(name=name)).split("|")
        assert result.startswith("TABLE("), (name, result)
        statements += [
            f"alter function chatd_api.{name}({identity}) set schema earlier",
            f"create function chatd_api.{name}({arguments}) returns {result[:-1]}, added integer) language plpgsql"
            f" security definer set search_path = chatd, pg_temp as $$ begin"
            f" return query select b.*, 7 from earlier.{name}({given}) b; end $$"]
    return "".join(f"{s};\n" for s in statements)
