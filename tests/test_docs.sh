#!/usr/bin/env bash
# What the documents point at is there: tests, files, presets, and the README's C code in examples/readme.c.
# Usage: test_docs.sh SOURCE_DIR
set -u
cd "$1" || exit 1
bad=0 found=0
fail() {
    echo "error: $1"
    bad=1
}

# `file` or `file:function` in docs/RELIABILITY.md, below tests/
while IFS=: read -r file name; do
    found=$((found + 1))
    if [ ! -f "tests/$file" ]; then
        fail "docs/RELIABILITY.md names tests/$file, which is not there"
    elif [ -n "$name" ] && [ "$(grep -cw -- "$name" "tests/$file")" -lt 2 ]; then # written and listed
        fail "docs/RELIABILITY.md names $name, which tests/$file does not run"
    fi
done < <(grep -ohE '`[a-z_/A-Z]+\.(c|sh|txt)(:[a-z_0-9]+)?`' docs/RELIABILITY.md | tr -d '`')
[ "$found" -ge 20 ] || fail "only $found tests named"

# relative links
for page in README.md SECURITY.md docs/*.md; do
    while IFS= read -r target; do
        [ -e "$(dirname "$page")/$target" ] || fail "$page links to $target, which is not there"
    done < <(grep -ohE '\]\([^)]+\)' "$page" | sed 's/](\(.*\))/\1/;s/#.*//' | grep -vE '^(https?:|$)')
done

diff examples/readme.c <(sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d') ||
    fail "the C example in README.md (>) is not examples/readme.c (<)"

[ "$bad" -eq 0 ] && echo "$found tests named in the documents are there"
exit "$bad"
