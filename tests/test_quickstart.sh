#!/usr/bin/env bash
# quickstart: a word at once, names what is missing where it may not install, refuses what it does not know, and its
# agent swings up the pendulum. Usage: test_quickstart.sh SOURCE_DIR [PROGRAM]
set -u
quickstart=$1/quickstart program=${2:-}
bad=0
expect() { # STATUS PATTERN COMMAND...
    local status=$1 pattern=$2 output code
    shift 2
    output=$("$@" 2>&1 </dev/null)
    code=$?
    if [ "$code" -ne "$status" ] || ! grep -qE -- "$pattern" <<<"$output"; then
        echo "error: $* ended with $code instead of $status, or without \"$pattern\":"
        echo "$output"
        bad=1
    fi
}
expect 0 'quickstart test --all' bash "$quickstart" --help
expect 2 'quickstart test --all' bash "$quickstart" --unknown
# with no package to be found, and no leave to install
without() { env PKG_CONFIG_LIBDIR=/nonexistent bash "$quickstart" "$@" --no-install; }
expect 1 'apt-get install -y .*libjansson-dev.*libcmocka-dev.*ocl-icd-opencl-dev' without test
expect 1 'an OpenCL loader with headers, and PoCL' without test
# to run it needs nothing of OpenCL
if without build 2>&1 | grep -q 'install -y.*opencl'; then echo "error: a build asks for OpenCL"; bad=1; fi
started=$(date +%s%N)
first=$(bash "$quickstart" --help | head -n 1)
taken=$((($(date +%s%N) - started) / 1000000))
[ -n "$first" ] && [ "$taken" -lt 1000 ] || { echo "error: the first line took $taken ms"; bad=1; }
if [ -n "$program" ]; then
    read -ra job < <(sed -n 's/^ *part "dreamer" "$build\/reverie" //p' "$quickstart")
    expect 0 '^stopped .*stop\.return' "$program" "${job[@]}" --device=cpu:threads=1 --progress=none
    # hanging down all the time returns -1200 or less
    expect 0 '^return mean -[1-3]?[0-9]{1,2}(\.[0-9]+)? .* n 100' "$program" eval run/quickstart
    expect 0 'plots/imagined' "$program" imagine run/quickstart
    while read -ra job; do
        expect 0 'Usage: reverie' "$program" "${job[0]}" --help
    done < <(sed -n 's/^ *build\/quickstart\/reverie \([a-z].*\)/\1/p' "$quickstart")
fi
[ "$bad" -eq 0 ] && echo "quickstart answers, the first line in $taken ms"
exit "$bad"
