#!/usr/bin/env bash
# test_structure.sh must fail on each thing it forbids: a copy of the tree is spoiled in turn.
# Usage: test_structure_bites.sh SOURCE_DIR WORK_DIR
set -eu
source=$1 work=$2
rules=$source/tests/test_structure.sh
copy() {
    rm -rf "$work/tree"
    mkdir -p "$work/tree"
    (cd "$source" && tar cf - --exclude=__pycache__ include core backends models agents envs cmake) | tar xf - -C "$work/tree"
}
expect_failure() {
    if bash "$rules" "$work/tree" >"$work/log" 2>&1; then
        echo "not noticed: $1"
        exit 1
    fi
    grep -q "$2" "$work/log" || { echo "noticed for another reason: $1"; cat "$work/log"; exit 1; }
}
copy
bash "$rules" "$work/tree" >/dev/null || { echo "the clean copy fails"; exit 1; }
echo '#include "core/internal.h"' >>"$work/tree/models/spoiled.c"
expect_failure "a model that includes core" "may not"
copy
echo '#include "core/internal.h"' >>"$work/tree/backends/cpu/spoiled.c"
expect_failure "a backend that includes core's internals" "may not"
copy
echo 'cl_mem memory;' >>"$work/tree/core/spoiled.c"
expect_failure "an OpenCL word in core" "outside backends"
copy
yes '' | head -601 >"$work/tree/core/spoiled.c"
expect_failure "a file of 601 lines" "600 are the limit"
copy
echo 'void f(void) { abort(); }' >>"$work/tree/core/spoiled.c"
expect_failure "abort in the library" "abort, exit or print"
copy
echo '/* TO''DO */' >>"$work/tree/core/spoiled.c"
expect_failure "an open end" "left open"
rm -rf "$work/tree"
echo "6 broken rules noticed"
