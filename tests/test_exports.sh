#!/usr/bin/env bash
# The shared library exports exactly what the headers declare, and is linked as promised.
# Usage: test_exports.sh LIBRARY DECLARED_LIST SOURCE_DIR
set -eu
library=$1 declared=$2 source=$3
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" {sub("@.*", "", $3); print $3}' | sort -u)
if ! diff <(sort -u "$declared") <(echo "$exported"); then
    echo "exports (>) differ from the declarations in include/reverie (<)"
    exit 1
fi
# a second count of the declarations, made another way
marked=$(grep -hE '^(RV_API|extern RV_API)\b' "$source"/include/reverie/*.h | grep -c '(')
count=$(wc -l <"$declared")
[ "$marked" -eq "$count" ] || { echo "$marked lines begin with RV_API, $count names were found in them"; exit 1; }
dynamic=$(readelf -dW "$library")
grep -q 'SONAME.*libreverie\.so\.0\]' <<<"$dynamic" || { echo "the SONAME is not libreverie.so.0"; exit 1; }
grep -qE 'BIND_NOW|FLAGS.*NOW' <<<"$dynamic" || { echo "not bound at start: RELRO is only partial"; exit 1; }
readelf -lW "$library" | grep -q GNU_RELRO || { echo "no RELRO segment"; exit 1; }
! readelf -lW "$library" | grep GNU_STACK | grep -q 'RWE' || { echo "the stack is executable"; exit 1; }
! grep -qE 'TEXTREL|RUNPATH|RPATH' <<<"$dynamic" || { echo "text relocations or a search path in the library"; exit 1; }
echo "$count functions exported, as declared"
