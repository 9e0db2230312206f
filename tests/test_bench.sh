#!/usr/bin/env bash
# reverie-bench times nothing that is wrong. Usage: test_bench.sh REVERIE_BENCH
set -u
bench=$1
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failures=0
fail() {
    echo "error: $1"
    failures=$((failures + 1))
}
case='^(gru_cell/b16_i64_h128|matmul_packed/m64_k768_n256|null_replay)'

"$bench" --list | grep -q '^train_step/course$' || fail "--list does not name the training step"

"$bench" --quick --case "$case" --json "$folder/figures.json" >"$folder/out" || fail "cases that are right end with $?"
for name in gru_cell/b16_i64_h128 gru_cell/b16_i64_h128/gradient matmul_packed/m64_k768_n256 null_replay/train_step_course; do
    grep -qE "^$name +[0-9.]+ " "$folder/out" || fail "$name got no time"
    grep -q "\"case\": \"$name\"" "$folder/figures.json" || fail "$name is not in the file"
done

# a device that does nothing leaves the poison where results should be
"$bench" --quick --device null --case '^gru_cell/b16_i64_h128$' >"$folder/out" && fail "a wrong result ends with 0"
grep -qE '^gru_cell/b16_i64_h128 +FAIL output 0' "$folder/out" || fail "a wrong result is not called FAIL"
grep -qE '^gru_cell/b16_i64_h128 +[0-9]' "$folder/out" && fail "a wrong result got a time"

"$bench" --quick --case no_such_case >/dev/null && fail "no case at all ends with 0"
"$bench" --case '(' 2>/dev/null && fail "a broken expression ends with 0"
"$bench" --device no_such_device 2>/dev/null && fail "a device that is not there ends with 0"

[ $failures -eq 0 ] && echo "bench: all well"
exit $((failures > 0))
