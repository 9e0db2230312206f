#!/usr/bin/env bash
# Every header's usage example stands, line by line and in its order, in examples/NAME.c.
# Usage: test_examples.sh SOURCE_DIR
set -u
cd "$1" || exit 1
bad=0 lines=0
squeeze() { sed -e 's|[ \t]*//.*||' -e 's/[ \t]\+/ /g' -e 's/^ //' -e 's/ $//'; }
for header in include/reverie/*.h; do
    name=$(basename "$header" .h)
    example=examples/$name.c
    if [ ! -f "$example" ]; then
        echo "error: $example is missing"
        bad=1
        continue
    fi
    at=0
    while IFS= read -r line; do
        lines=$((lines + 1))
        found=$(tail -n +$((at + 1)) "$example" | squeeze | grep -nxF -m1 -e "$line" | cut -d: -f1)
        if [ -z "$found" ]; then
            echo "error: $example lacks this line of $header, or has it in another order: $line"
            bad=1
        else
            at=$((at + found))
        fi
    done < <(awk '/^ \*     / {on = 1} on && !/^ \*(     |$)/ {exit} on' "$header" | sed 's/^ \*//' | squeeze | grep -vxE '\.\.\.|')
done
# the C blocks of a walk-through, one after the other, are its example, whole
for page in docs/walkthrough_*.md; do
    name=$(basename "$page" .md)
    if ! diff "examples/$name.c" <(sed -n '/^```c$/,/^```$/p' "$page" | grep -v '^```'); then
        echo "error: the C blocks of $page (>) are not examples/$name.c (<)"
        bad=1
    fi
done
[ "$lines" -ge 40 ] || { echo "error: only $lines example lines found"; bad=1; }
[ "$bad" -eq 0 ] && echo "$lines lines of the headers' examples are compiled"
exit "$bad"
