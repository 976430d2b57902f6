# bats file_tags=once
#
# What is read for a page, a resume, a session or a host does not grow with what is stored, whatever the
# planner knows. Nothing here depends on how chatd was built.

setup_file() {
    root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    cluster=$root/tests/tools/cluster
    state=$(mktemp -d)
    export root cluster state PYTHONDONTWRITEBYTECODE=1
    "$cluster" start --fast "$state"
    while read -r line; do export "${line?}"; done < <("$cluster" env "$state")
    create template1 empty
    PGDATABASE=empty "$root/sql/migrate" --role chatd >"$BATS_FILE_TMPDIR/migrate"
    put empty SETUP
    create empty filled
    put filled USERS
    put filled FILL
    put filled GROUPS
}

teardown_file() {
    "$cluster" stop "$state"
    rm -rf "$state"
}

create() {
    psql -qX -d postgres -c "create database $2 template $1"
}

put() {
    PYTHONPATH=$root/tests/lib /usr/bin/python3 -c "import plans; print(plans.$2)" |
        psql -qX -v ON_ERROR_STOP=1 -d "$1"
}

plans() {
    PGDATABASE=$1 /usr/bin/python3 "$root/tests/lib/plans.py" "${@:2}"
}

@test "plans: one index and no more than a page, without statistics" {
    plans filled
}

@test "plans: the same with statistics that know every user's share" {
    create filled analyzed
    psql -qX -d analyzed -c analyze
    plans analyzed
}

@test "plans: the same with those of a table that was all but empty, and plans from that time" {
    create empty kept
    psql -qX -d kept -c 'vacuum analyze'
    plans kept --kept
}
