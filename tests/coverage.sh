#!/usr/bin/env bash
# Executed lines of core/*.c after a run of the tests. Usage: coverage.sh SOURCE_DIR BUILD_DIR MINIMUM_PERCENT
set -eu
source=$1 build=$2 minimum=$3
work=$build/coverage
rm -rf "$work"
mkdir -p "$work"
cd "$work"
objects=$build/CMakeFiles/reverie_objects.dir/core
gcov -r -s "$source" "$objects"/*.gcda >report.txt 2>gcov.log || { cat gcov.log; exit 1; }
# files that no test ever ran have notes but no counts
for notes in "$objects"/*.gcno; do
    [ -f "${notes%.gcno}.gcda" ] || { echo "never run: $(basename "${notes%.c.gcno}").c"; exit 1; }
done
awk -v minimum="$minimum" '
    /^File / { file = $2; gsub(/\047/, "", file) }
    /^Lines executed:/ && file ~ /^core\/[a-z_0-9]+\.c$/ && !(file in seen) {
        split($0, part, /[:%]| of /)
        seen[file] = 1
        printf "%6.1f%% of %5d  %s\n", part[2], part[4], file
        lines += part[4]; run += part[2] / 100 * part[4]
    }
    END {
        if (!lines) { print "no lines counted"; exit 1 }
        printf "%6.1f%% of %5d  core/ altogether; at least %s%% asked for\n", 100 * run / lines, lines, minimum
        exit 100 * run / lines < minimum
    }' report.txt
